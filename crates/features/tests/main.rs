//! Features as a whole: the list, a second feature beside the first, hostile text and real data.

#[cfg(test)]
mod adding_a_feature;
#[cfg(test)]
mod hostile_text;
#[cfg(test)]
mod peer_review;
#[cfg(test)]
mod real_data;
