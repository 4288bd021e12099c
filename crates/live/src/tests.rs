//! Rules of delivery.
