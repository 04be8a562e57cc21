//! Owns a rule while it is being read: its steps, each with its turn in the order of evaluation.

use super::read::Reported;
use super::text::Index;
use crate::diag::Place;
use crate::rules::ir::{Condition, Effect, Step, StepKind};

/// When a step has its turn. Conditions come first, the cheap ones before the walk up the tree; links come after
/// the properties, tags and names that they may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    FileMatch,
    Match,
    FileParent,
    Parent,
    /// Files: their paths may speak of the matched parent.
    Test,
    Program,
    Import,
    /// The output of programs.
    Result,
    Index,
    Escape,
    Property,
    Name,
    Tag,
    Permission,
    Label,
    Link,
    Priority,
    Write,
    Option,
    Run,
    Start,
}

/// What is known of a rule so far.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) steps: Vec<(Turn, Step)>,
    /// What `$index` means in this rule.
    pub(super) index: Index,
    /// Templates with `$index`, in order: the turn and the text.
    pub(super) index_uses: Vec<(Turn, String)>,
    /// A condition was wrong: the rule must not be in force.
    pub(super) refused: bool,
    /// An effect was wrong and is reported.
    pub(super) lost_effect: bool,
}

impl Draft {
    pub(super) fn new(index: Index) -> Self {
        Self { steps: Vec::new(), index, index_uses: Vec::new(), refused: false, lost_effect: false }
    }

    pub(super) fn when(&mut self, turn: Turn, place: Place, condition: Condition) {
        self.steps.push((turn, Step { place, kind: StepKind::When(condition) }));
    }

    pub(super) fn parent(&mut self, turn: Turn, place: Place, conditions: Vec<(Place, Condition)>) {
        self.steps.push((turn, Step { place, kind: StepKind::Parent(conditions) }));
    }

    pub(super) fn effect(&mut self, turn: Turn, place: Place, effect: Effect) {
        self.steps.push((turn, Step { place, kind: StepKind::Do { effect, fixed: false } }));
    }

    /// Keeps a result's value; a failure costs the effect.
    pub(super) fn keep<T>(&mut self, result: Result<T, Reported>) -> Option<T> {
        self.lost_effect |= result.is_err();
        result.ok()
    }

    /// True if the rule does something: an effect, a program or an import.
    pub(super) fn does_something(&self) -> bool {
        self.steps
            .iter()
            .any(|(turn, _)| *turn >= Turn::Program && !matches!(turn, Turn::Result | Turn::Index))
    }

    /// True if the rule asks something of the device; a program or an import asks nothing.
    pub(super) fn has_conditions(&self) -> bool {
        self.steps.iter().any(|(turn, _)| *turn < Turn::Program || *turn == Turn::Result)
    }

    /// The steps in order of evaluation; of one turn, in the order of the file.
    pub(super) fn into_steps(mut self) -> Vec<Step> {
        self.steps.sort_by_key(|(turn, _)| *turn);
        self.steps.into_iter().map(|(_, step)| step).collect()
    }
}
