//! The story of a demo: a folder, a provider, the programs; ready; stopped. Whatever ends early ends all of it.

mod arguments;
mod child;
mod console;
mod error;
mod folder;
mod port;
mod programs;
mod ward;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use demo::{Provider, ProviderOptions};
use nix::unistd::getppid;
use process::{Exit, Shutdown};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use arguments::Arguments;
use child::Running;
use console::Console;
pub(crate) use console::print_err;
use error::DemoError;
use folder::Folder;
use port::ReservedPort;
use programs::{Kind, Program, World};

/// How long a program may take to be ready: a debug build on a busy machine, many times over.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// How often somebody who waits sees a sign of life.
const TICK: Duration = Duration::from_secs(1);

/// How long the programs may take to end, somewhat longer than they give their own connections.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// How often a demo under a test looks whether the test is still there.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// Runs a demo from start to stop.
pub(crate) async fn run(arguments: &Arguments) -> Exit {
    match start_and_wait(arguments).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_err(&error.to_string());
            error.exit()
        }
    }
}

async fn start_and_wait(arguments: &Arguments) -> Result<(), DemoError> {
    let console = Console::new(arguments.for_tests);
    let folder = Folder::open(&arguments.data)?;
    if arguments.reset {
        if folder.has_data() && !arguments.yes {
            console.may_remove(folder.path())?;
        }
        folder.empty()?;
    }
    // From here on a signal is a wish to stop; until here it simply ended the demo, which had started nothing.
    let mut stop = StopSignals::listen(arguments.for_tests)?;
    let reserved = ReservedPort::take(arguments.port, "--port")?;
    let site = reserved.address();
    let provider = start_provider(arguments, &folder, site).await?;
    let issuer = provider.issuer();
    let world = World {
        folder: &folder,
        site,
        issuer: &issuer,
        environment: std::env::vars_os().collect(),
        web_environment: &arguments.web_environment,
        without: &arguments.without,
    };
    let ward = arguments.opens_on_a_ward() && !folder.database().exists();
    let mut running = Vec::new();
    let outcome = tokio::select! {
        outcome = start_and_go_on(console, &world, &provider, ward, &mut running), if !arguments.provider_only => outcome,
        outcome = serve_sign_ins(console, &world), if arguments.provider_only => outcome,
        () = stop.requested() => Ok(()),
    };
    console.print_out("\nStopping ...");
    tokio::select! {
        () = child::terminate(&mut running) => {}
        () = tokio::time::sleep(STOP_DEADLINE) => {}
        () = stop.requested_again() => {}
    }
    for name in child::kill_the_rest(&mut running).await {
        print_err(&format!("{name} did not end when it was asked to, and was killed"));
    }
    provider.stop().await;
    drop(reserved);
    console.print_out(&format!("Stopped. The data stays in {}", folder.path().display()));
    outcome
}

async fn start_provider(arguments: &Arguments, folder: &Folder, site: SocketAddr) -> Result<Provider, DemoError> {
    let secrets = folder.secrets()?;
    let mut options = ProviderOptions::new(secrets.id, secrets.secret);
    options.listen.set_port(arguments.provider_port);
    options.redirect_uris.push(programs::redirect_uri(site));
    options.auto_login = arguments.for_tests;
    let address = options.listen;
    Provider::start(options).await.map_err(|error| port::not_bound(address, "--provider-port", error))
}

/// Starts all programs and waits until they are ready, says so, and then waits until one ends, which none should.
async fn start_and_go_on(
    console: Console,
    world: &World<'_>,
    provider: &Provider,
    ward: bool,
    running: &mut Vec<Running>,
) -> Result<(), DemoError> {
    world.folder.prepare()?;
    if ward {
        console.print_out("Writing what a ward wrote in the last days ...");
        ward::write(world.folder, world.issuer, &provider.people()).await?;
    }
    let programs = programs::all(world);
    world.folder.write_shell_settings(&programs::shell_settings(&programs))?;
    for Program { name, environment, kind } in programs {
        let program = Running::start(name, environment, world.folder)?;
        match kind {
            Kind::Prepares => program.succeed().await?,
            Kind::Works => running.push(program),
            // Those after it open the database that it makes.
            Kind::Serves(address) => {
                running.push(program);
                until_ready(console, running.len() - 1, address, running).await?;
            }
        }
    }
    if console.is_for_tests() {
        announce(console, world, running)?;
    } else {
        console.print_out(&greeting(world, provider, running));
    }
    let (index, status) = child::first_to_end(running).await;
    Err(running[index].ended(status))
}

/// The provider alone, for as long as it is wanted.
async fn serve_sign_ins(console: Console, world: &World<'_>) -> Result<(), DemoError> {
    if console.is_for_tests() {
        announce(console, world, &[])?;
    } else {
        let (site, issuer) = (programs::public_url(world.site), world.issuer);
        console.print_out(&format!("Signs people in for {site} at {issuer}. Ctrl-C stops it."));
    }
    std::future::pending().await
}

async fn until_ready(
    console: Console,
    index: usize,
    address: SocketAddr,
    running: &mut [Running],
) -> Result<(), DemoError> {
    let (name, log) = (running[index].name, running[index].log.clone());
    console.print_out(&format!("Starting {name} ..."));
    let mut last_seen = String::new();
    let mut next_tick = Instant::now() + TICK;
    let note = |seen| {
        last_seen = seen;
        if Instant::now() >= next_tick {
            next_tick += TICK;
            console.tick(".");
        }
    };
    tokio::select! {
        () = child::until_ready(address, note) => return Ok(()),
        (ended, status) = child::first_to_end(running) => return Err(running[ended].ended(status)),
        () = tokio::time::sleep(READY_DEADLINE) => {}
    }
    Err(DemoError::NotReady { name, seconds: READY_DEADLINE.as_secs(), last_seen, tail: child::tail(&log) })
}

/// For the test that started the demo: where everything is.
fn announce(console: Console, world: &World<'_>, running: &[Running]) -> Result<(), DemoError> {
    let programs: serde_json::Map<_, _> = running
        .iter()
        .map(|program| (program.name.to_owned(), json!({"pid": program.pid(), "log": program.log})))
        .collect();
    let line = json!({
        "site": programs::public_url(world.site),
        "provider": world.issuer,
        "data": world.folder.path(),
        "programs": programs,
    });
    console.announce(&line).map_err(|source| DemoError::System { what: "cannot say where the site is", source })
}

/// For a person: what to open, who to be, where things are, how to stop.
fn greeting(world: &World<'_>, provider: &Provider, running: &[Running]) -> String {
    let people = provider.people();
    let width = people.iter().map(|person| person.email.len()).max().unwrap_or_default();
    let people: String = people
        .iter()
        .map(|person| format!("    {:width$}  {}, {}\n", person.email, person.name, lower_first(&person.role)))
        .collect();
    let mut copies = String::new();
    for (program, what, place) in [
        ("log-shipper", "Copy of the audit log", world.folder.audit_copy()),
        ("backup-worker", "Backups, one a night and one at the start", world.folder.backups()),
    ] {
        if running.iter().any(|running| running.name == program) {
            copies.push_str(&format!("{what}\n    {}\n", place.display()));
        }
    }
    let logs: String = running.iter().map(|program| format!("    {}\n", program.log.display())).collect();
    format!(
        "\nWardpost is ready. Open  {}\n\nYou can sign in as\n{people}\nData, kept from run to run (--reset removes it)\n    {}\n{copies}\
         Logs\n{logs}Sign-in provider, standing in for Google\n    {}\nCommands, in another terminal, such as who has signed in\n\
         {}\n\nCtrl-C stops everything.",
        programs::public_url(world.site),
        world.folder.path().display(),
        world.issuer,
        commands(world.folder, running),
    )
}

/// What lets a shell run commands beside the demo: its settings, and where the programs are.
fn commands(folder: &Folder, running: &[Running]) -> String {
    let web = running.iter().find(|program| program.name == "web").map_or(Path::new("web"), |web| &web.binary);
    let word = |path: &Path| programs::shell_word(path.as_os_str());
    format!("    . {}\n    {} staff list", word(&folder.shell_settings()), word(web))
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// Everything that means: stop.
struct StopSignals {
    shutdown: Shutdown,
    hang_up: Signal,
    for_tests: bool,
}

impl StopSignals {
    fn listen(for_tests: bool) -> Result<StopSignals, DemoError> {
        let no_signals = |source| DemoError::System { what: "cannot listen for signals", source };
        Ok(StopSignals {
            shutdown: Shutdown::listen().map_err(no_signals)?,
            hang_up: signal(SignalKind::hangup()).map_err(no_signals)?,
            for_tests,
        })
    }

    /// Ctrl-C, SIGTERM, the terminal closed, or the test gone that started the demo.
    async fn requested(&mut self) {
        tokio::select! {
            _ = self.shutdown.requested() => {}
            _ = self.hang_up.recv() => {}
            () = parent_gone(), if self.for_tests => {}
        }
    }

    async fn requested_again(&self) {
        self.shutdown.requested_again().await;
    }
}

/// Waits until another process has become this one's parent: the one that started it is gone.
async fn parent_gone() {
    let parent = getppid();
    let mut check = tokio::time::interval(PARENT_CHECK);
    while getppid() == parent {
        check.tick().await;
    }
}
