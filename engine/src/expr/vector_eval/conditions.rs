//! Conditions over rows: every branch is evaluated for all rows, and each row selects its own.
//!
//! Invariant: an assignment in a branch affects the variable only in the branch's rows.

use std::rc::Rc;

use super::super::ast::ExprNode;
use super::super::value::{Value, ValueKind};
use super::vector::{Vector, VectorCells, VectorData, statuses};
use super::{Rows, VectorEvaluator};

impl VectorEvaluator<'_> {
    pub(super) fn switch(
        &mut self,
        cases: &[(ExprNode, ExprNode)],
        default: Option<&ExprNode>,
        rows: Rows<'_>,
    ) -> Option<Vector> {
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
        condition: &Vector,
        rows: Rows<'_>,
        yes: impl FnOnce(&mut Self) -> Option<Vector>,
        no: impl FnOnce(&mut Self) -> Option<Vector>,
    ) -> Option<Vector> {
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
                // A name declared in one branch is not visible outside.
                (yes, no) => no.or(yes),
            };
        }
        Some(self.choose(&truths, &yes, &no, len))
    }

    pub(super) fn choose(&self, truths: &VectorCells<bool>, yes: &Vector, no: &Vector, len: usize) -> Vector {
        if let VectorCells::Same(is_true) = truths {
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
                $payloads(VectorCells::Each(
                    (0..len).map(|row| if truths.at(row) { yes.at(row) } else { no.at(row) }).collect(),
                ))
            }};
        }
        if yes.kind == no.kind {
            match (&yes.payloads, &no.payloads) {
                (VectorData::Float(yes_cells), VectorData::Float(no_cells)) => {
                    return Vector::new(
                        yes.kind,
                        chosen!(VectorData::Float, yes_cells, no_cells),
                        statuses(),
                    );
                }
                (VectorData::Int(yes_cells), VectorData::Int(no_cells)) => {
                    return Vector::new(yes.kind, chosen!(VectorData::Int, yes_cells, no_cells), statuses());
                }
                (VectorData::Bool(yes_cells), VectorData::Bool(no_cells)) => {
                    return Vector::new(yes.kind, chosen!(VectorData::Bool, yes_cells, no_cells), statuses());
                }
                (VectorData::Text(yes_cells), VectorData::Text(no_cells)) => {
                    return Vector::new(yes.kind, chosen!(VectorData::Text, yes_cells, no_cells), statuses());
                }
                (VectorData::Nothing, VectorData::Nothing) => return yes.clone(),
                _ => {}
            }
        }
        // If one side is the literal `null`, its rows are none, and the result has the other side's type.
        let (payloads, kind) = match (&yes.payloads, &no.payloads) {
            (VectorData::Nothing, VectorData::Mixed(_)) | (VectorData::Mixed(_), VectorData::Nothing) => {
                (None, ValueKind::None)
            }
            (VectorData::Nothing, payloads) => (Some(payloads), no.kind),
            (payloads, VectorData::Nothing) => (Some(payloads), yes.kind),
            _ => (None, ValueKind::None),
        };
        if let Some(payloads) = payloads {
            return Vector::new(kind, payloads.clone(), statuses());
        }
        let values = (0..len)
            .map(|row| if truths.at(row) { self.value(yes, row) } else { self.value(no, row) })
            .collect();
        Vector::new(ValueKind::None, VectorData::Mixed(values), None)
    }

    pub(super) fn value(&self, vector: &Vector, row: usize) -> Value {
        vector.value(row, |place| self.text(place))
    }
}
