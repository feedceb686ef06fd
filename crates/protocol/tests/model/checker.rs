//! Explores every state that a model can reach, breadth first, and looks for a promise that does not hold.
//!
//! Why not a library: the one for Rust (`stateright`) brings a web server and a thread pool into the builds of a crate
//! whose worth is that it has nothing, and of its three kinds of property it decides "eventually" only where states do not
//! join again, which is where it matters here. What is needed is small: a set of seen states, a way back to the first one,
//! and the question whether the steps that nobody has to ask for always come to an end.
//!
//! States are remembered by 64 bits of hash. Of two million states, two share one with a chance of one in ten million;
//! then the second would not be explored.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A promise that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// `P1` to `P5`.
    pub(crate) promise: &'static str,
    /// What is wrong.
    pub(crate) what: String,
}

impl Broken {
    pub(crate) fn new(promise: &'static str, what: impl Into<String>) -> Self {
        Self { promise, what: what.into() }
    }
}

/// A way on from a state.
pub(crate) struct Step<S> {
    /// Where it leads.
    pub(crate) to: S,
    /// Whether it happens by itself: nobody outside acts and nothing fails.
    pub(crate) quiet: bool,
    /// What it is, if the model was told to tell.
    pub(crate) what: String,
    /// What it breaks.
    pub(crate) breaks: Option<Broken>,
}

/// Something to explore.
pub(crate) trait Model {
    type State: Clone + Eq + Hash;

    /// From here on steps say what they are. Until then that would be work for nothing.
    fn tell(&mut self);

    fn first(&mut self) -> Self::State;

    /// All ways on, in an order that depends on the state alone.
    fn steps(&mut self, state: &Self::State) -> Vec<Step<Self::State>>;

    /// What must hold in every state.
    fn always(&self, state: &Self::State) -> Result<(), Broken>;

    /// What must hold where nothing happens by itself any more.
    fn at_rest(&self, state: &Self::State) -> Result<(), Broken>;
}

/// What an exploration came to.
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// States where nothing happens by itself.
    pub(crate) resting: usize,
    /// Whether every state was seen.
    pub(crate) complete: bool,
    /// The first promise found broken, and the shortest way there.
    pub(crate) broken: Option<(Broken, Vec<String>)>,
}

#[derive(Default)]
struct Seen {
    names: HashMap<u64, u32>,
    /// From which state each was reached first, and by which of its steps.
    from: Vec<(u32, u16)>,
    /// Steps that happen by themselves.
    quiet: Vec<(u32, u32)>,
}

impl Seen {
    /// The number of a state, and whether it is new.
    fn enter(&mut self, state: &impl Hash, from: (u32, u16)) -> (u32, bool) {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let next = u32::try_from(self.from.len()).unwrap();
        let name = *self.names.entry(hasher.finish()).or_insert(next);
        if name == next {
            self.from.push(from);
        }
        (name, name == next)
    }

    /// The steps that lead to a state, told again from the beginning.
    fn way_to<M: Model>(&self, model: &mut M, state: u32, last: Option<u16>) -> Vec<String> {
        let mut positions: Vec<u16> = last.into_iter().collect();
        let mut at = state;
        while at != 0 {
            let (from, position) = self.from[at as usize];
            positions.push(position);
            at = from;
        }
        model.tell();
        let (mut state, mut way) = (model.first(), Vec::new());
        for position in positions.into_iter().rev() {
            let step = model.steps(&state).swap_remove(usize::from(position));
            way.push(step.what);
            state = step.to;
        }
        way
    }

    /// A state from which steps that happen by themselves lead back to it.
    fn restless(&self) -> Option<u32> {
        let mut into = vec![0_u32; self.from.len()];
        let mut first = vec![0_usize; self.from.len() + 1];
        for (from, to) in &self.quiet {
            into[*to as usize] += 1;
            first[*from as usize + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        // The steps of one state were written one after the other, and states are visited in the order of their numbers.
        let mut free: Vec<usize> = (0..into.len()).filter(|state| into[*state] == 0).collect();
        let mut taken = 0;
        while let Some(state) = free.pop() {
            taken += 1;
            for (_, to) in &self.quiet[first[state]..first[state + 1]] {
                into[*to as usize] -= 1;
                if into[*to as usize] == 0 {
                    free.push(*to as usize);
                }
            }
        }
        (taken < into.len())
            .then(|| into.iter().position(|count| *count > 0))
            .flatten()
            .map(|at| u32::try_from(at).unwrap())
    }
}

/// Explores until everything was seen, a promise is broken, or `states_max` states are known.
pub(crate) fn explore<M: Model>(model: &mut M, states_max: usize) -> Explored {
    let mut seen = Seen::default();
    let mut open = VecDeque::new();
    let (mut steps, mut resting) = (0, 0);
    let first = model.first();
    seen.enter(&first, (0, 0));
    open.push_back(first);
    let mut at: u32 = 0;
    let mut broken = None;
    'explore: while let Some(state) = open.pop_front() {
        if let Err(found) = model.always(&state) {
            broken = Some((found, at, None));
            break;
        }
        let mut rests = true;
        for (position, step) in (0..).zip(model.steps(&state)) {
            steps += 1;
            if let Some(found) = step.breaks {
                broken = Some((found, at, Some(position)));
                break 'explore;
            }
            let (name, new) = seen.enter(&step.to, (at, position));
            if step.quiet {
                rests = false;
                seen.quiet.push((at, name));
            }
            if new {
                open.push_back(step.to);
            }
        }
        if rests {
            resting += 1;
            if let Err(found) = model.at_rest(&state) {
                broken = Some((found, at, None));
                break;
            }
        }
        if seen.from.len() > states_max {
            break;
        }
        at += 1;
    }
    let complete = open.is_empty() && broken.is_none();
    if complete && let Some(state) = seen.restless() {
        broken = Some((Broken::new("P4", "it goes on for ever although nobody asks for it"), state, None));
    }
    let states = seen.from.len();
    let broken = broken.map(|(found, state, last)| (found, seen.way_to(model, state, last)));
    Explored { states, steps, resting, complete, broken }
}
