//! Conditions over rows: every branch is computed for all rows, and each row takes its own.
//!
//! Law: a variable that a branch assigns has the branch's value in the branch's rows only.

use std::rc::Rc;

use super::super::ast::Node;
use super::super::value::{Kind, Value};
use super::lane::{Cells, Lane, Payloads, statuses};
use super::{Rows, Run};

impl Run<'_> {
    pub(super) fn switch(
        &mut self,
        cases: &[(Node, Node)],
        default: Option<&Node>,
        rows: Rows<'_>,
    ) -> Option<Lane> {
        let Some(((condition, body), rest)) = cases.split_first() else {
            return match default {
                Some(default) => self.run(default, rows),
                None => Some(self.constant(&Value::none(), rows.len())),
            };
        };
        let condition = self.run(condition, rows)?;
        self.branches(&condition, rows, |run| run.run(body, rows), |run| run.switch(rest, default, rows))
    }

    pub(super) fn branches(
        &mut self,
        condition: &Lane,
        rows: Rows<'_>,
        yes: impl FnOnce(&mut Self) -> Option<Lane>,
        no: impl FnOnce(&mut Self) -> Option<Lane>,
    ) -> Option<Lane> {
        let len = rows.len();
        let truths = condition.truths(len);
        let before = self.variables.clone();
        let yes = yes(self)?;
        let after_yes = std::mem::replace(&mut self.variables, before);
        let no = no(self)?;
        for (slot, after) in after_yes.into_iter().enumerate() {
            self.variables[slot] = match (after, self.variables[slot].take()) {
                (Some(yes), Some(no)) if !Rc::ptr_eq(&yes, &no) => {
                    Some(Rc::new(self.choose(&truths, &yes, &no, len)))
                }
                // A name of one branch is not seen outside.
                (yes, no) => no.or(yes),
            };
        }
        Some(self.choose(&truths, &yes, &no, len))
    }

    pub(super) fn choose(&self, truths: &Cells<bool>, yes: &Lane, no: &Lane, len: usize) -> Lane {
        if let Cells::Same(is_true) = truths {
            return if *is_true { yes.clone() } else { no.clone() };
        }
        let statuses = || {
            if yes.statuses.is_none() && no.statuses.is_none() {
                return None;
            }
            statuses(len, |row| if truths.at(row) { yes.status(row) } else { no.status(row) })
        };
        macro_rules! chosen {
            ($payloads:path, $yes:expr, $no:expr) => {{
                let (yes, no) = ($yes, $no);
                $payloads(Cells::Each(
                    (0..len).map(|row| if truths.at(row) { yes.at(row) } else { no.at(row) }).collect(),
                ))
            }};
        }
        if yes.kind == no.kind {
            match (&yes.payloads, &no.payloads) {
                (Payloads::Float(yes_cells), Payloads::Float(no_cells)) => {
                    return Lane::new(yes.kind, chosen!(Payloads::Float, yes_cells, no_cells), statuses());
                }
                (Payloads::Int(yes_cells), Payloads::Int(no_cells)) => {
                    return Lane::new(yes.kind, chosen!(Payloads::Int, yes_cells, no_cells), statuses());
                }
                (Payloads::Bool(yes_cells), Payloads::Bool(no_cells)) => {
                    return Lane::new(yes.kind, chosen!(Payloads::Bool, yes_cells, no_cells), statuses());
                }
                (Payloads::Text(yes_cells), Payloads::Text(no_cells)) => {
                    return Lane::new(yes.kind, chosen!(Payloads::Text, yes_cells, no_cells), statuses());
                }
                (Payloads::Nothing, Payloads::Nothing) => return yes.clone(),
                _ => {}
            }
        }
        // One side is the literal `null`: its rows are none, the others' type stays.
        let (payloads, kind) = match (&yes.payloads, &no.payloads) {
            (Payloads::Nothing, Payloads::Mixed(_)) | (Payloads::Mixed(_), Payloads::Nothing) => {
                (None, Kind::None)
            }
            (Payloads::Nothing, payloads) => (Some(payloads), no.kind),
            (payloads, Payloads::Nothing) => (Some(payloads), yes.kind),
            _ => (None, Kind::None),
        };
        if let Some(payloads) = payloads {
            return Lane::new(kind, payloads.clone(), statuses());
        }
        let values = (0..len)
            .map(|row| if truths.at(row) { self.value(yes, row) } else { self.value(no, row) })
            .collect();
        Lane::new(Kind::None, Payloads::Mixed(values), None)
    }

    pub(super) fn value(&self, lane: &Lane, row: usize) -> Value {
        lane.value(row, |place| self.text(place))
    }
}
