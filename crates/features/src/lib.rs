//! Every learning feature, one folder each.
//!
//! Adding one touches its folder and one word in the list below; docs/adding-a-feature.md shows how.

use campanile_contract::Feature;

/// A word in the list is a folder with a `FEATURE`.
macro_rules! features {
    ($($feature:ident)*) => {
        $(pub mod $feature;)*

        /// Every feature of the house.
        pub const ALL: &[Feature] = &[$($feature::FEATURE),*];
    };
}

features! {
    access
    roster
    grading
    notifications
    broadcast
}
