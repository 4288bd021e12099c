//! What stands on the stage before the act begins: PostgreSQL, Django with its people, and Campanile beside it.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
};

use anyhow::{Context, Result, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{
    super::{
        AcceptanceArgs, Store, first_head, limits,
        world::{Platform, Tally, World},
    },
    django::{self, Django, User},
    grader::{Graded, Grader},
    scale::Scale,
};
use crate::{
    cast::Cast,
    client::dial::loopback,
    history::{Channel, Person},
    postgres::Cluster,
    recorder::Recorder,
    server::{Server, Setup},
    service::{Request, Service, Settled},
};

/// The route that the platform's own clients know.
const UPDATES: &str = "/ws/updates/";
/// From where the roster is filled.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 203, 0, 1);
/// People of one import.
const IMPORT_ROWS: usize = 1_000;

/// Everything that plays along.
pub struct Setting {
    pub cluster: Cluster,
    pub django: Django,
    pub server: Server,
    pub world: Arc<World>,
    directory: PathBuf,
    pub staff: Vec<Person>,
    /// Who reads which cadet's channel: the cadet, and all staff.
    pub readers: Vec<(Person, Channel)>,
    /// Cadets who get many rows, with their channels.
    pub busy: Vec<(Person, Channel)>,
    pub graded: Vec<Graded>,
}

// === impl Setting ===

impl Setting {
    /// Builds it up, from an empty PostgreSQL to a roster that is filled.
    pub async fn build(args: &AcceptanceArgs, scale: Scale) -> Result<Self> {
        let directory = args.work_dir().join("act-four");
        std::fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let cluster = Cluster::create().await?;
        let platform_store = cluster.create_database("rotc").await?;
        let store = match args.store {
            Store::Sqlite => format!("sqlite://{}/campanile.db", directory.display()),
            Store::Postgres => cluster.create_database("campanile").await?,
        };
        let setup = Setup {
            binary: args.campanile.clone(),
            directory: directory.clone(),
            store,
            limits: limits(),
            more_config: sync_source(&platform_store),
        };
        let mut server = Server::prepare(setup)?;
        println!("work folder: {}", directory.display());
        let django = Django::new(&args.python, &args.django, cluster.port, &server.keys.hs256_secret)?;
        let users = people(&django, args, scale, &directory).await?;
        server.start().await?;
        println!("{} people of the platform; the server answers at {}", users.len(), server.address);
        fill_roster(&server, &users).await?;
        let world = Arc::new(world(args, &server, &users).await?);
        let staff: Vec<Person> =
            numbered(&users).filter(|(_, user)| user.cadet_id.is_none()).map(|(person, _)| person).collect();
        let cadets: Vec<(Person, u64, Channel)> = numbered(&users)
            .filter_map(|(person, user)| Some((person, user.cadet_id?)))
            .map(|(person, cadet)| (person, cadet, world.recorder.channel(&channel_of(cadet))))
            .collect();
        let own = cadets.iter().map(|&(person, _, channel)| (person, channel));
        let overseen = staff.iter().flat_map(|&person| cadets.iter().map(move |&(_, _, channel)| (person, channel)));
        let readers = own.chain(overseen).collect();
        let busy = cadets.iter().take(scale.busy).map(|&(person, _, channel)| (person, channel)).collect();
        let graded: Vec<Graded> =
            cadets.iter().take(scale.graded).map(|&(_, cadet_id, channel)| Graded { cadet_id, channel }).collect();
        Ok(Self { cluster, django, server, world, directory, staff, readers, busy, graded })
    }

    /// Where the platform lists its rows.
    pub fn rows_path(&self) -> PathBuf {
        self.directory.join("rows.jsonl")
    }

    /// Fails when Campanile or PostgreSQL ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        self.server.check_alive()?;
        self.cluster.check_alive()
    }
}

/// The platform's table, as Django named it and its columns.
fn sync_source(store: &str) -> String {
    format!("[[sync_source]]\nname = \"rotc\"\nstore = \"{store}\"\ntable = \"system_syncevent\"\ninstall_trigger = true\n")
}

fn channel_of(cadet: u64) -> String {
    format!("cadet:{cadet}")
}

fn numbered(users: &[User]) -> impl Iterator<Item = (Person, &User)> {
    (0..).zip(users)
}

/// Lets Django make its tables, load its cadets and issue their tokens.
async fn people(django: &Django, args: &AcceptanceArgs, scale: Scale, directory: &std::path::Path) -> Result<Vec<User>> {
    let (oulad, tokens) = (args.fixtures.join("oulad").canonicalize()?, directory.join("tokens.jsonl"));
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a folder's name is not UTF-8");
    let (oulad, tokens_word, most) = (text(&oulad)?, text(&tokens)?, scale.cadets.min(1_000_000).to_string());
    django.run(&["migrate", "--verbosity", "0"]).await?;
    println!("{}", django.run(&["load_cadets", &oulad, "--most", &most]).await?);
    django.run(&["issue_tokens", &tokens_word]).await?;
    let users: Vec<User> = django::read_lines(&tokens)?;
    ensure!(users.iter().any(|user| user.cadet_id.is_some()), "the platform has no cadets");
    Ok(users)
}

/// The roster knows everybody, so that their approval can be taken away.
async fn fill_roster(server: &Server, users: &[User]) -> Result<()> {
    let mut service = Service::new(server.address, SOURCE, &server.keys.api_key);
    let mut random = StdRng::seed_from_u64(0);
    for (users, number) in users.chunks(IMPORT_ROWS).zip(0..) {
        let person =
            |user: &User| json!({ "person_id": user.user_id, "name": user.name, "role": user.role, "cadet_id": user.cadet_id });
        let people: Vec<_> = users.iter().map(person).collect();
        let request = Request {
            line: "POST /api/roster/import".to_owned(),
            idempotency_key: format!("import-{number}"),
            body: Some(json!({ "people": people }).to_string()),
        };
        match service.settle(&request, &mut random).await {
            Settled::Acked { .. } => {}
            Settled::Refused { status, code, .. } => bail!("the import was refused with {status} {code}"),
            Settled::Unsettled(why) => bail!("the import was never settled: {why}"),
        }
    }
    Ok(())
}

/// The notebook, and the head from which it counts.
async fn world(args: &AcceptanceArgs, server: &Server, users: &[User]) -> Result<World> {
    let people: Vec<String> = users.iter().map(|user| user.user_id.to_string()).collect();
    let of_people = people.iter().map(|person| format!("user:{person}"));
    let channels = users.iter().filter_map(|user| user.cadet_id).map(channel_of).chain(of_people).collect();
    let cast = Cast {
        people,
        courses: Vec::new(),
        registered: Vec::new(),
        audience: Vec::new(),
        largest: 0,
        population: Vec::new(),
        stages: Vec::new(),
        learners: std::collections::HashMap::new(),
        withdrawals: Vec::new(),
    };
    let mut world = World {
        server: server.address,
        keys: server.keys.clone(),
        recorder: Recorder::new(channels),
        cast,
        tally: Tally::default(),
        seed: args.seed,
        first_head: 0,
        epoch: AtomicU64::new(0),
        connected: AtomicI64::new(0),
        last_acked_id: AtomicU64::new(0),
        platform: Some(Platform::new(users.iter().map(|user| user.access.clone()).collect(), UPDATES)),
    };
    // The sheets are made before the first head, so that every id above it has a record.
    let shared = Arc::new(world);
    save_sheets(&shared, users, scale_of(args).graded).await?;
    world = Arc::into_inner(shared).context("somebody still holds the world")?;
    let (head, epoch) = first_head(server.address, loopback(0), users[0].access.clone()).await?;
    world.first_head = head;
    world.epoch = AtomicU64::new(epoch);
    world.last_acked_id = AtomicU64::new(head);
    Ok(world)
}

async fn save_sheets(world: &Arc<World>, users: &[User], graded: usize) -> Result<()> {
    let staff = numbered(users).find(|(_, user)| user.cadet_id.is_none()).context("the platform has no staff")?;
    let mut grader = Grader::new(world, staff.0)?;
    for user in users.iter().filter(|user| user.cadet_id.is_some()).take(graded) {
        grader.save_cadet(user.cadet_id.unwrap_or(0), &user.name).await?;
    }
    Ok(())
}

fn scale_of(args: &AcceptanceArgs) -> Scale {
    if args.short { Scale::short() } else { Scale::full() }
}
