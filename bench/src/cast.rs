//! Who plays in the acceptance run: deterministic for a seed, decided from the fixture files alone.

use std::collections::{HashMap, HashSet};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    fixtures::{Registration, Statement},
    history::Person,
};

/// A planned withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Withdrawal {
    pub person: Person,
    /// Index into [`Cast::courses`].
    pub course: usize,
}

/// The people and what the files say about them.
pub struct Cast {
    /// Every student of the roster, as the file spells them, in the order of first appearance.
    pub people: Vec<String>,
    /// Every course, in the order of first appearance.
    pub courses: Vec<String>,
    /// Who is where before the run.
    pub registered: Vec<(Person, usize)>,
    /// The students of the largest course.
    pub audience: Vec<Person>,
    /// The largest course.
    pub largest: usize,
    /// Who is connected in the third act.
    pub population: Vec<Person>,
    /// Where announcements are made in the third act.
    pub stages: Vec<usize>,
    /// The FUN-MOOC learners, each an OULAD student of their own.
    pub learners: HashMap<String, Person>,
    /// The withdrawals of the population, in the order of `date_unregistration` (then of the file).
    pub withdrawals: Vec<Withdrawal>,
}

/// How many people are wanted.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub audience: usize,
    pub population: usize,
    pub stages: usize,
}

struct Roster {
    people: Vec<String>,
    courses: Vec<String>,
    registered: Vec<(Person, usize)>,
}

fn number_of<'a>(name: &'a str, numbers: &mut HashMap<&'a str, usize>, names: &mut Vec<String>) -> usize {
    *numbers.entry(name).or_insert_with(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

fn person_number(n: usize) -> Person {
    Person::try_from(n).unwrap_or(Person::MAX)
}

fn read_roster(rows: &[Registration]) -> Roster {
    let mut roster = Roster { people: Vec::new(), courses: Vec::new(), registered: Vec::new() };
    let (mut people, mut courses) = (HashMap::new(), HashMap::new());
    for row in rows {
        let person = number_of(&row.student, &mut people, &mut roster.people);
        let course = number_of(&row.course, &mut courses, &mut roster.courses);
        roster.registered.push((person_number(person), course));
    }
    roster
}

/// Picks round robin from the shuffled students of each stage, so that every course has about the same number of people here.
fn pick_population(members: &[Vec<Person>], stages: &[usize], wanted: usize, random: &mut StdRng) -> Vec<Person> {
    let mut pools: Vec<Vec<Person>> = stages.iter().map(|&course| members[course].clone()).collect();
    pools.iter_mut().for_each(|pool| pool.shuffle(random));
    let mut seen = HashSet::new();
    let mut population = Vec::new();
    while population.len() < wanted && pools.iter().any(|pool| !pool.is_empty()) {
        for pool in &mut pools {
            let fresh = std::iter::from_fn(|| pool.pop()).find(|&person| seen.insert(person));
            population.extend(fresh.filter(|_| population.len() < wanted));
        }
    }
    population
}

/// One to one: first onto the population, then onto the rest of the roster.
fn map_learners(
    statements: &[Statement],
    population: &[Person],
    people: usize,
    random: &mut StdRng,
) -> HashMap<String, Person> {
    let mut order = population.to_vec();
    order.shuffle(random);
    let known: HashSet<Person> = population.iter().copied().collect();
    order.extend((0..person_number(people)).filter(|person| !known.contains(person)));
    let mut students = order.into_iter();
    let mut learners = HashMap::new();
    for statement in statements {
        if !learners.contains_key(&statement.learner)
            && let Some(student) = students.next()
        {
            learners.insert(statement.learner.clone(), student);
        }
    }
    learners
}

// === impl Cast ===

impl Cast {
    /// Chooses everyone.
    pub fn choose(rows: &[Registration], statements: &[Statement], wanted: Wanted, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let Roster { people, courses, registered } = read_roster(rows);
        let mut members = vec![Vec::new(); courses.len()];
        for &(person, course) in &registered {
            members[course].push(person);
        }
        let mut by_size: Vec<usize> = (0..courses.len()).collect();
        by_size.sort_by_key(|&course| std::cmp::Reverse(members[course].len()));
        let largest = by_size.first().copied().unwrap_or(0);
        let stages = by_size[..wanted.stages.min(by_size.len())].to_vec();
        let population = pick_population(&members, &stages, wanted.population, &mut random);
        let learners = map_learners(statements, &population, people.len(), &mut random);
        let here: HashSet<Person> = population.iter().copied().collect();
        let mut dated: Vec<_> = rows
            .iter()
            .zip(&registered)
            .filter(|(_, (person, course))| here.contains(person) && stages.contains(course))
            .filter_map(|(row, &(person, course))| Some((row.withdrawn_on_day?, Withdrawal { person, course })))
            .collect();
        dated.sort_by_key(|&(day, _)| day);
        let mut audience = members.get(largest).cloned().unwrap_or_default();
        audience.truncate(wanted.audience);
        let withdrawals = dated.into_iter().map(|(_, withdrawal)| withdrawal).collect();
        Self { people, courses, registered, audience, largest, population, stages, learners, withdrawals }
    }

    /// The names of all channels, courses first: channel `n` is course `n`, channel `courses + p` is person `p`'s own.
    pub fn channels(&self) -> Vec<String> {
        let courses = self.courses.iter().map(|course| format!("course:{course}"));
        courses.chain(self.people.iter().map(|person| format!("user:{person}"))).collect()
    }

    /// How many of the population are in each stage: the fewest, the mean, the most.
    pub fn reach(&self) -> (usize, usize, usize) {
        let here: HashSet<Person> = self.population.iter().copied().collect();
        let counts: Vec<usize> = self
            .stages
            .iter()
            .map(|stage| self.registered.iter().filter(|(person, course)| course == stage && here.contains(person)).count())
            .collect();
        let sum: usize = counts.iter().sum();
        (counts.iter().min().copied().unwrap_or(0), sum / counts.len().max(1), counts.iter().max().copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn cast(seed: u64) -> Cast {
        let folder = std::env::var("CAMPANILE_FIXTURES")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures").to_owned());
        let folder = std::path::Path::new(&folder);
        let wanted = Wanted { audience: usize::MAX, population: 3_400, stages: 16 };
        Cast::choose(&fixtures::registrations(folder).unwrap(), &fixtures::statements(folder).unwrap(), wanted, seed)
    }

    #[test]
    fn the_cast_is_what_the_issue_asks_for() {
        let cast = cast(1);
        assert_eq!(
            (cast.people.len(), cast.courses.len(), cast.audience.len(), cast.population.len()),
            (28_785, 22, 2_498, 3_400)
        );
        let here: HashSet<Person> = cast.population.iter().copied().collect();
        let students: HashSet<Person> = cast.learners.values().copied().collect();
        assert_eq!((here.len(), students.len()), (3_400, 1_452), "one to one");
        assert!(students.is_subset(&here), "every learner is connected");
        let (fewest, _, most) = cast.reach();
        assert!(fewest >= 150 && most <= 400, "{fewest} to {most} in a course");
        assert!(cast.withdrawals.len() > 500, "{}", cast.withdrawals.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_cast_and_another_another() {
        assert_eq!(cast(1).population, cast(1).population);
        assert_eq!(cast(1).learners, cast(1).learners);
        assert_ne!(cast(1).population, cast(2).population);
    }
}
