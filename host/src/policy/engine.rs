//! The wasmtime engine as this project uses it: what guests may use, how they are interrupted, what they may hold.
//!
//! Owns the configuration, the linker with the only import (`log`) and the ticker. Entered by `plugin` and `cache`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, EngineWeak};

use super::guest::GuestState;
use super::{PolicyError, bindings};

/// One tick of the epoch clock. A deadline is kept to within one tick; half of the shortest deadline, so that even a guest
/// with that one is stopped before it has taken twice as long.
pub(super) const TICK: Duration = Duration::from_micros(500);

/// Stack of a guest, bytes. Below the 2 MiB that Rust gives a thread, so that deep recursion of a guest is a trap of
/// the guest and never the end of the thread.
const MAX_WASM_STACK: usize = 512 << 10;

/// Everything that plugins have in common; cheap to clone.
#[derive(Clone)]
pub(super) struct PolicyEngine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linker: Linker<GuestState>,
    ticker: Arc<Ticker>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ticker.end();
    }
}

impl PolicyEngine {
    /// Configure the engine and start its ticker.
    pub(super) fn new() -> Result<Self, PolicyError> {
        let failed = |error: wasmtime::Error| PolicyError::new(format!("cannot set up the policy engine: {error:#}"));
        let engine = Engine::new(&config()).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        bindings::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).map_err(failed)?;
        let ticker = Arc::new(Ticker::default());
        let (weak, shared) = (engine.weak(), Arc::clone(&ticker));
        std::thread::Builder::new()
            .name("policy-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || shared.run(&weak))
            .map_err(|error| PolicyError::new(format!("cannot start the policy ticker thread: {error}")))?;
        Ok(Self { inner: Arc::new(Inner { engine, linker, ticker }) })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(super) fn linker(&self) -> &Linker<GuestState> {
        &self.inner.linker
    }

    /// Keep the epoch clock running for as long as the guard lives. Guests must only run under such a guard.
    pub(super) fn running(&self) -> Running<'_> {
        self.inner.ticker.begin();
        Running(&self.inner.ticker)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The bookkeeping of concurrent calls costs 500 ns a call, and a policy is a plain function.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK)
        // Traps are told by kind; collecting frames would only make them slower.
        .wasm_backtrace_max_frames(None)
        // Nobody reads offsets or unwinds through guests: leaving both out makes compiled plugins smaller and loads faster.
        .generate_address_map(false)
        .native_unwind_info(false)
        // Recorded decisions replay on every machine only if these cannot differ between machines.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .memory_init_cow(true);
    config
}

/// Advances the epoch once per tick while a guest runs, and sleeps without any wakeup while none does.
///
/// A guard is made for every question, so it takes the lock only when it must wake the thread. No wakeup is lost: a guard
/// first counts itself and then looks whether the thread is parked, the thread first says that it is parked and then
/// looks at the count, and the one order of all four (`SeqCst`) lets at least one of them see the other.
#[derive(Default)]
struct Ticker {
    /// Guards that live now.
    running: AtomicUsize,
    /// The thread sleeps, or is about to, and must be woken by the next guard.
    parked: AtomicBool,
    /// Whether the engine is gone. Also held by the thread from the look at the count until it sleeps.
    ended: Mutex<bool>,
    wake: Condvar,
}

/// Keeps the epoch clock running.
pub(super) struct Running<'a>(&'a Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    fn lock(&self) -> MutexGuard<'_, bool> {
        // Every critical section is a plain assignment, so a poisoned lock holds a sound state.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            let _ended = self.lock();
            self.wake.notify_one();
        }
    }

    fn end(&self) {
        *self.lock() = true;
        self.wake.notify_one();
    }

    /// Sleep until a guard lives or the engine is gone; says whether it is gone.
    fn park(&self) -> bool {
        if self.running.load(Ordering::SeqCst) > 0 {
            return *self.lock();
        }
        let mut ended = self.lock();
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !*ended {
            ended = self.wake.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
        self.parked.store(false, Ordering::SeqCst);
        *ended
    }

    /// Body of the ticker thread; returns when the engine is gone.
    fn run(&self, engine: &EngineWeak) {
        loop {
            let ended = self.park();
            let Some(engine) = engine.upgrade().filter(|_| !ended) else { return };
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}
