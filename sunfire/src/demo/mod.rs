//! `sunfire demo`: a simulated shop of some twenty hosts that write real log files, an agent beside each, `up` over
//! them, and now and then a host that dies, stalls, loses bytes or comes back.
//!
//! Everything goes into one folder that can be thrown away. The monitors written there are examples to copy from.

mod agents;
mod shop;
mod story;

use crate::cli::{DemoArguments, UpArguments};
use crate::exit::{Exit, Failure};
use crate::up;
use agents::{Agents, Fate};
use anyhow::Context;
use lika::seam::{Clock, Randomness};
use serde_json::{Value, json};
use shop::Host;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use story::{Event, Happening, story};

/// Where everything goes unless it is told otherwise.
const HOME: &str = "sunfire-demo";
/// Pause between two rounds of writing.
const BEAT: Duration = Duration::from_millis(100);
/// How often the load rises and falls.
const WAVE_S: f64 = 90.0;
const ZONES: [&str; 3] = ["berlin", "lagos", "osaka"];
/// The monitor that the page opens on.
const FIRST: &str = "shop_orders";

/// Runs the demo until a signal ends it.
///
/// # Errors
/// If a folder, a port or a log can't be used.
pub fn run(arguments: &DemoArguments) -> Result<Exit, Failure> {
    let home = arguments.dir.clone().unwrap_or_else(|| HOME.into());
    std::fs::create_dir_all(&home).with_context(|| format!("the folder {} cannot be made", home.display()))?;
    let home = home.canonicalize().context("the demo's folder cannot be used")?;
    let shop = Shop::open(&home, arguments)?;
    let up_arguments = UpArguments {
        logs: Vec::new(),
        config: Some(home.join("config")),
        data: Some(home.join("data")),
        listen: arguments.listen.clone(),
        agents_token_file: None,
        token_file: None,
    };
    let opens = !arguments.no_browser && std::io::stdout().is_terminal();
    let (speed, has_faults) = (arguments.story_speed.max(1), !arguments.no_faults);
    up::run_with(&up_arguments, &[], move |console, folders| {
        greet(console, &folders.config, opens);
        std::thread::spawn(move || shop.run(speed, has_faults));
    })
}

fn greet(console: SocketAddr, config: &Path, opens: bool) {
    let page = format!("http://{console}/?m={FIRST}");
    eprintln!("the shop is open: {page}");
    eprintln!("  monitors, to read and to change: {}", config.display());
    eprintln!("  stop:     Ctrl-C; the folder can then be removed");
    if opens {
        open_page(&page);
    }
}

/// Opens the page where there is a desktop; where there is none, its address was said.
fn open_page(page: &str) {
    let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let program = match (cfg!(target_os = "macos"), has_desktop) {
        (true, _) => "open",
        (false, true) => "xdg-open",
        (false, false) => return,
    };
    let mut command = Command::new(program);
    let _none = command.arg(page).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// The shop: hosts that write, their agents, and who is listed.
struct Shop {
    hosts: Vec<Host>,
    agents: Agents,
    listed: BTreeSet<String>,
    targets: PathBuf,
    chance: Randomness,
}

impl Shop {
    fn open(home: &Path, arguments: &DemoArguments) -> Result<Self, Failure> {
        let chance = Randomness::seeded(arguments.seed);
        let count = usize::from(arguments.hosts);
        let mut hosts = Vec::new();
        // One more than asked for: the last joins later.
        for number in 0..=count {
            let (name, zone) = (format!("web-{:02}", number + 1), ZONES[number % ZONES.len()]);
            let folder = home.join("hosts").join(&name);
            let host = Host::new(&name, zone, folder, chance.fork());
            hosts.push(host.with_context(|| format!("the logs of {name} cannot be written"))?);
        }
        let agents = Agents::start(
            hosts
                .iter()
                .map(|host| (host.name.clone(), host.folder.clone()))
                .collect(),
        )?;
        let config = home.join("config");
        std::fs::create_dir_all(&config).context("the configuration's folder cannot be made")?;
        std::fs::write(config.join("shop.yaml"), configuration(&home.join("hosts"))).context("shop.yaml")?;
        let shop = Self {
            listed: hosts.iter().take(count).map(|host| host.name.clone()).collect(),
            hosts,
            agents,
            targets: config.join("hosts.json"),
            chance,
        };
        shop.list().context("hosts.json")?;
        Ok(shop)
    }

    /// Rewrites the inventory, so that nobody reads half of it.
    fn list(&self) -> std::io::Result<()> {
        let listed = self.hosts.iter().filter(|host| self.listed.contains(&host.name));
        let target = |host: &Host| {
            let labels = json!({ "host": host.name, "zone": host.zone });
            json!({ "targets": [self.agents.addresses[&host.name].to_string()], "labels": labels })
        };
        let text = Value::from(listed.map(target).collect::<Vec<_>>()).to_string();
        let part = self.targets.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(part, &self.targets)
    }

    /// Writes and lets things happen, as long as the process lives.
    fn run(mut self, speed: u64, has_faults: bool) {
        let clock = Clock::system();
        let began = clock.monotonic();
        let mut happenings = story(self.hosts.len(), self.chance.fork()).peekable();
        let mut last = Duration::ZERO;
        loop {
            std::thread::park_timeout(BEAT);
            let now = clock.monotonic().since(began);
            let share = (now - last).as_secs_f64();
            last = now;
            let load = 1.0 + 0.35 * (now.as_secs_f64() * std::f64::consts::TAU / WAVE_S).sin();
            let wall = jiff::Timestamp::from_nanosecond(clock.wall().0.into()).unwrap_or_default();
            for host in &mut self.hosts {
                if let Err(error) = host.write(wall, share, load) {
                    eprintln!("{}: its logs cannot be written: {error}", host.name);
                }
            }
            let story_s = now.as_secs() * speed;
            while has_faults && let Some(happening) = happenings.next_if(|next| next.at_s <= story_s) {
                self.befall(&happening, &wall);
            }
        }
    }

    fn befall(&mut self, happening: &Happening, wall: &jiff::Timestamp) {
        let Some(host) = self.hosts.get_mut(happening.host) else {
            return;
        };
        let name = host.name.clone();
        eprintln!("{} {}", wall.strftime("%H:%M:%S"), happening.told(&name));
        let done = match happening.event {
            Event::Dies => {
                host.is_up = false;
                self.agents.order(&name, Fate::Gone);
                Ok(())
            }
            Event::ComesBack => {
                host.is_up = true;
                self.agents.order(&name, Fate::Answers);
                Ok(())
            }
            Event::Stalls => {
                self.agents.order(&name, Fate::Stalls);
                Ok(())
            }
            Event::Truncates(log) => host.truncate(log),
            Event::Late(seconds) => {
                host.late_s = seconds;
                Ok(())
            }
            Event::Joins => {
                self.listed.insert(name);
                self.list()
            }
            Event::Leaves => {
                self.listed.remove(&name);
                self.list()
            }
        };
        if let Err(error) = done {
            eprintln!("that could not be done: {error}");
        }
    }
}

/// The shop's monitors; `@` stands for the folder of a host.
const SHOP: &str = include_str!("shop.yaml");

fn configuration(hosts: &Path) -> String {
    let in_folder = |line: &str| match line.strip_prefix("log: @/") {
        Some(file) => format!("log: {}", Value::from(format!("{}/${{host}}/{file}", hosts.display()))),
        None => line.to_owned(),
    };
    SHOP.lines().map(|line| in_folder(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shops_configuration_is_a_good_one() {
        let text = configuration(Path::new("/tmp/it's a \"shop\"/hosts"));
        let documents = configs::load_str("shop.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let names: Vec<&str> = documents.iter().map(configs::Document::name).collect();
        assert_eq!(names.len(), 7, "{names:?}");
        assert!(names.contains(&FIRST));
    }
}
