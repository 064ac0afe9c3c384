//! The product of a cell's rows, as a tree of partial products.
//!
//! Cost: inserting or removing a row takes O(log n); the next read recomputes the products of the parts whose rows
//! changed, of at most [`ROWS`] rows each, and of their ancestors. The tree is a trie over slot numbers, so rows that
//! are adjacent in memory are read together. Nothing is divided, so no error accumulates.

use super::product::Product;
use crate::column::Column;

/// Maximum number of rows of a leaf.
const ROWS: usize = 64;
/// Bits of the slot number that select a child.
const BITS: u32 = 2;

#[derive(Debug)]
pub(super) struct ProductTree {
    root: ProductPart,
}

#[derive(Debug)]
struct ProductPart {
    /// `None` if a row below changed since it was computed.
    product: Option<Product>,
    num_rows: u32,
    below: Below,
}

#[derive(Debug)]
enum Below {
    /// Slots, in ascending order.
    Rows(Vec<u32>),
    Parts(Box<[ProductPart; 1 << BITS]>),
}

impl ProductTree {
    pub(super) fn new(rows: &[u32]) -> ProductTree {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        ProductTree { root: ProductPart::new(&rows, u32::BITS) }
    }

    pub(super) fn insert(&mut self, slot: u32) {
        self.root.insert(slot, u32::BITS);
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.root.remove(slot, u32::BITS);
    }

    /// Recomputes stale products. Must be called before [`ProductTree::product`].
    pub(super) fn flush(&mut self, column: &Column) {
        self.root.flush(column);
    }

    pub(super) fn len(&self) -> usize {
        self.root.num_rows as usize
    }

    pub(super) fn product(&self) -> Product {
        self.root.product.expect("flushed before it is read")
    }
}

/// Returns the index of the child of `slot` in a part whose slots agree from `high_bit` up.
fn place(slot: u32, high_bit: u32) -> usize {
    (slot >> (high_bit - BITS)) as usize & ((1 << BITS) - 1)
}

impl ProductPart {
    /// Builds a part from ascending slots that agree from `high_bit` up.
    fn new(rows: &[u32], high_bit: u32) -> ProductPart {
        let below = if rows.len() <= ROWS {
            Below::Rows(rows.to_vec())
        } else {
            let mut rest = rows;
            Below::Parts(Box::new(std::array::from_fn(|part| {
                let (here, behind) =
                    rest.split_at(rest.partition_point(|&slot| place(slot, high_bit) <= part));
                rest = behind;
                ProductPart::new(here, high_bit - BITS)
            })))
        };
        ProductPart { product: None, num_rows: rows.len() as u32, below }
    }

    fn insert(&mut self, slot: u32, high_bit: u32) {
        self.product = None;
        self.num_rows += 1;
        match &mut self.below {
            Below::Parts(parts) => parts[place(slot, high_bit)].insert(slot, high_bit - BITS),
            Below::Rows(rows) => {
                let position = rows.partition_point(|&other| other < slot);
                rows.insert(position, slot);
                if rows.len() > ROWS {
                    *self = ProductPart::new(rows, high_bit);
                }
            }
        }
    }

    fn remove(&mut self, slot: u32, high_bit: u32) {
        self.product = None;
        self.num_rows -= 1;
        match &mut self.below {
            Below::Parts(parts) => {
                parts[place(slot, high_bit)].remove(slot, high_bit - BITS);
                // Hysteresis: well below the limit, so that a part at the limit is not split and merged alternately.
                if self.num_rows as usize <= ROWS / 2 {
                    let mut rows = Vec::with_capacity(ROWS);
                    self.each_row(&mut |slot| rows.push(slot));
                    self.below = Below::Rows(rows);
                }
            }
            Below::Rows(rows) => {
                let position = rows.binary_search(&slot).expect("a removed row was in its cell");
                rows.remove(position);
            }
        }
    }

    fn each_row(&self, visit: &mut impl FnMut(u32)) {
        match &self.below {
            Below::Rows(rows) => rows.iter().copied().for_each(visit),
            Below::Parts(parts) => parts.iter().for_each(|part| part.each_row(visit)),
        }
    }

    fn flush(&mut self, column: &Column) -> Product {
        if let Some(product) = self.product {
            return product;
        }
        let product = match &mut self.below {
            Below::Rows(rows) => Product::of(column, rows.iter().copied()),
            Below::Parts(parts) => {
                parts.iter_mut().fold(Product::ONE, |product, part| product.times(part.flush(column)))
            }
        };
        self.product = Some(product);
        product
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array};

    use super::*;
    use crate::data::{Batch, BatchColumn, TableOptions};
    use crate::table::OwnedTable;
    use crate::testing::Random;
    use crate::types::schema::{Field, Schema, Storage};

    #[test]
    fn a_million_changes_leave_no_drift() {
        let num_rows = 5_000;
        let factors: ArrayRef = Arc::new(Float64Array::from_iter_values(
            (0..num_rows).map(|row| 0.9 + f64::from(row * 7_919 % 2_000) / 10_000.0),
        ));
        let schema = Schema::new(vec![Field::new("factor", Storage::Float64)]);
        let mut table = OwnedTable::empty_for_test(schema, TableOptions::default());
        let columns = vec![BatchColumn { column: 0, values: factors, missing: None }];
        table.apply_for_test(&Batch { num_rows: num_rows as usize, columns, keys: None });
        let snapshot = table.snapshot();
        let mut here = vec![false; num_rows as usize];
        let mut products = ProductTree::new(&[]);
        let mut random = Random::new(1);
        for turn in 0..1_000_000 {
            // Occasionally shrinks to a few hundred rows.
            let slot = random.below(if turn % 200_000 < 100_000 { num_rows as usize } else { 90 }) as u32;
            let is_here = &mut here[slot as usize];
            *is_here = !*is_here;
            if *is_here {
                products.insert(slot)
            } else {
                products.remove(slot)
            }
            if turn % 9_973 == 0 {
                products.flush(snapshot.column(0));
                let rows = (0..num_rows as u32).filter(|&slot| here[slot as usize]);
                let fresh = Product::of(snapshot.column(0), rows);
                assert_eq!(products.product().float(), fresh.float(), "turn {turn}");
            }
        }
    }
}
