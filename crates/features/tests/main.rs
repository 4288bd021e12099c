//! Features as a whole: the list, a second feature beside the first, hostile text and real data.

mod adding_a_feature;
mod hostile_text;
mod peer_review;
mod real_data;
