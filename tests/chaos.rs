//! The supervisor, the holder or both are killed at random moments, again and again, under services that start, crash
//! and come back by themselves. Nothing of that may be lost or doubled.
//!
//! `WASMVISOR_CHAOS_ROUNDS` says how often, 20 when absent; `WASMVISOR_CHAOS_SEED` makes the same choices again. The
//! moments themselves are the machine's.

mod books;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use books::{Books, Darkness};

use crate::support::search::left_of;
use crate::support::{Fleet, eventually, number_from_environment, send, torture_program, wait_for, wasmvisor};
use crate::torture::{Launching, head};

/// Services at once.
const SERVICES: usize = 50;
/// How long the next holder takes at most until it has the pipes of the last one's runs.
const TAKING_OVER: Duration = Duration::from_secs(2);

/// More descriptors or threads than at first are no leak as long as they are fewer than the rounds that could leak them.
const SLACK: usize = 4;

/// Mistakes told at once; one cause makes many.
const TOLD: usize = 40;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Supervisor,
    Holder,
    Both,
}

/// Choices that can be made again (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    /// A moment nobody has chosen: this is what the test is about, and no wait for a condition.
    fn moment(&mut self, most_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.roll(most_ms)));
    }
}

struct Chaos {
    fleet: Fleet,
    dice: Dice,
    books: Books,
    /// A command that somebody gives while all this goes on.
    person: Option<Child>,
    /// When both have been dead at once, and the kernel had nobody to tell.
    darkness: Vec<Darkness>,
    /// Times without a holder: what a run that ended then had in its pipes, the kernel has dropped.
    headless: Vec<Darkness>,
}

impl Chaos {
    fn begin(seed: u64) -> Self {
        let mut text = head(&Launching::ByHolder, "");
        for number in 0..SERVICES {
            text += &format!(
                "[process.service-{number:02}]\ncommand = [\"{{dir}}/bin/torture\", \"work\", \"{{dir}}/books\"]\n\
                 restart = \"always\"\ngraceful_shutdown_timeout = \"5s\"\n"
            );
        }
        let fleet = Fleet::prepare(&text);
        torture_program::install(&fleet, "bin");
        std::fs::create_dir(fleet.path().join("books")).expect("a directory");
        let books = Books::of(&fleet);
        let mut chaos =
            Self { fleet, dice: Dice(seed * 2 + 1), books, person: None, darkness: Vec::new(), headless: Vec::new() };
        chaos.fleet.launch();
        chaos
    }

    /// One death at a random moment, and whatever is needed to go on.
    fn round(&mut self, victim: Victim) {
        self.dice.moment(700);
        if self.dice.roll(3) == 0 {
            self.ask_for_a_restart();
            self.dice.moment(60);
        }
        let began = SystemTime::now();
        if victim != Victim::Supervisor {
            self.fleet.holders().into_iter().for_each(|holder| send("KILL", holder));
        }
        if victim != Victim::Holder {
            self.fleet.kill();
            self.dice.moment(300);
            self.fleet.spawn();
        }
        // Sometimes the next death comes before it has answered at all.
        if victim == Victim::Both || self.dice.roll(3) > 0 {
            self.fleet.await_answer();
            self.books.note(&self.fleet);
        }
        if victim != Victim::Supervisor {
            // The next holder has its pipes a moment later.
            self.headless.push(Darkness { began, ended: SystemTime::now() + TAKING_OVER });
        }
        if victim == Victim::Both {
            self.darkness.push(Darkness { began, ended: SystemTime::now() });
        }
        if let Some(mut person) = self.person.take() {
            let _ = person.wait();
        }
    }

    fn ask_for_a_restart(&mut self) {
        let service = format!("service-{:02}", self.dice.roll(SERVICES as u64));
        let command = wasmvisor()
            .arg("--state-dir")
            .arg(self.fleet.state_dir())
            .args(["restart", &service])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.person = command.ok();
    }

    /// Wait until every service has been seen in a run that it knows of itself.
    fn await_calm(&mut self) {
        self.fleet.await_answer();
        let mut seen = HashSet::new();
        eventually("every service runs", || {
            for record in self.books.note(&self.fleet) {
                // Measured as well: that is when the supervisor holds all that it ever needs of it.
                if record["status"] == "running" && self.books.knows(&record) && !record["usage"].is_null() {
                    seen.insert(record["name"].to_string());
                }
            }
            (seen.len() == SERVICES).then_some(())
        });
    }

    /// Descriptors and threads of the supervisor and of its holder.
    fn held(&self) -> [usize; 4] {
        let holder = eventually("one holder serves", || match self.fleet.holders()[..] {
            [one] => Some(one),
            _ => None,
        });
        let count = |pid: u64, what: &str| {
            std::fs::read_dir(PathBuf::from(format!("/proc/{pid}/{what}"))).map_or(0, Iterator::count)
        };
        let supervisor = self.fleet.pid();
        [count(supervisor, "fd"), count(supervisor, "task"), count(holder, "fd"), count(holder, "task")]
    }

    /// What is held more than at first, if that does not pass.
    fn check_flat(&self, first: [usize; 4]) -> Option<String> {
        let mut last = first;
        let flat = wait_for(|| {
            last = self.held();
            last.iter().zip(first).all(|(last, first)| *last <= first + SLACK).then_some(())
        });
        let what = "descriptors and threads of the supervisor, of the holder";
        flat.is_none().then(|| format!("{what}: {first:?} at first, {last:?} at last"))
    }

    fn end(mut self, first: [usize; 4]) {
        let mut mistakes: Vec<_> = self.check_flat(first).into_iter().collect();
        let asked = SystemTime::now();
        // What has ended until now is on record soon; what is missing then is told below.
        wait_for(|| {
            self.books.note(&self.fleet);
            self.books.is_told_until(asked).then_some(())
        });
        self.fleet.signal("TERM");
        assert_eq!(self.fleet.await_end(), Some(0), "{}", self.fleet.end_of_log());
        mistakes.extend(left_of(&self.fleet).iter().map(|left| format!("left after the end: {left:?}")));
        mistakes.extend(self.books.check(&self.darkness, &self.headless, asked));
        let gone = wait_for(|| self.fleet.holders().is_empty().then_some(()));
        mistakes
            .extend(gone.is_none().then(|| format!("the holder is left after the end: {:?}", self.fleet.holders())));
        let told = mistakes.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(mistakes.is_empty(), "{} mistakes, among them:\n{told}", mistakes.len());
    }
}

fn rounds_of(victim: impl Fn(&mut Dice) -> Victim) {
    let rounds = number_from_environment("WASMVISOR_CHAOS_ROUNDS", 20).div_ceil(3);
    let seed = number_from_environment("WASMVISOR_CHAOS_SEED", std::process::id().into());
    eprintln!("WASMVISOR_CHAOS_SEED={seed}");
    let mut chaos = Chaos::begin(seed);
    chaos.await_calm();
    let first = chaos.held();
    for _ in 0..rounds {
        let victim = victim(&mut chaos.dice);
        chaos.round(victim);
    }
    chaos.await_calm();
    chaos.end(first);
}

#[test]
fn deaths_of_the_supervisor_lose_nothing_and_double_nothing() {
    rounds_of(|_| Victim::Supervisor);
}

#[test]
fn deaths_of_the_holder_lose_nothing_and_double_nothing() {
    rounds_of(|_| Victim::Holder);
}

#[test]
fn deaths_of_both_and_of_either_lose_nothing_and_double_nothing() {
    rounds_of(|dice| [Victim::Both, Victim::Supervisor, Victim::Holder, Victim::Both][dice.roll(4) as usize]);
}
