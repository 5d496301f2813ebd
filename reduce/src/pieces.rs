//! The mergeable pieces of a window as rows of the store: one for each cell, and one that says how far each host was
//! proved.
//!
//! Every row names the monitor's version: a window that another version began leaves rows that are not ours.

use crate::stored::{Unreadable, decode, encode};
use map::protocol::CellVersion;
use map::verdict::{HostState, Stage};
use map::wire::WirePartial;
use serde::{Deserialize, Serialize};
use store::PieceRow;

/// First byte of the key of the row with the proofs.
const PROOFS: u8 = 0;
/// First byte of the key of a cell.
const CELL: u8 = 1;

/// A row, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// How far each host was proved.
    Proofs(Proofs),
    /// What was counted of one generation of one host.
    Cell {
        /// The host.
        host: String,
        /// The generation.
        generation: u64,
        /// The counts.
        cell: StoredCell,
    },
}

/// How far each host was proved, in the order of an inventory, as runs; `None` where no Map has said anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Proofs {
    /// Version of the monitor.
    pub monitor_version: u64,
    /// So many hosts in a row, their state, and how far it was proved by a Map.
    pub runs: Vec<(u32, HostState, Option<Stage>)>,
}

impl Proofs {
    /// The runs of these states, in the order of the inventory.
    pub fn new(monitor_version: u64, states: impl IntoIterator<Item = (HostState, Option<Stage>)>) -> Self {
        let mut runs: Vec<(u32, HostState, Option<Stage>)> = Vec::new();
        for (state, stage) in states {
            match runs.last_mut() {
                Some((count, last, proved)) if (*last, *proved) == (state, stage) => *count += 1,
                _ => runs.push((1, state, stage)),
            }
        }
        Self { monitor_version, runs }
    }

    /// The states, in the order of the inventory.
    pub fn states(&self) -> impl Iterator<Item = (HostState, Option<Stage>)> {
        let runs = self.runs.iter();
        runs.flat_map(|&(count, state, stage)| (0..count).map(move |_| (state, stage)))
    }

    /// The state of the host at a place.
    pub fn at(&self, place: usize) -> Option<(HostState, Option<Stage>)> {
        let mut before = 0;
        let run = self.runs.iter().find(|(count, ..)| {
            before += *count as usize;
            place < before
        });
        run.map(|&(_, state, stage)| (state, stage))
    }
}

/// A cell as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCell {
    /// Version of the monitor.
    pub monitor_version: u64,
    /// What it covers.
    pub version: CellVersion,
    /// As in [`map::protocol::Cell::ambiguous`].
    pub ambiguous: bool,
    /// The counts.
    pub partial: WirePartial,
}

/// The row of the proofs.
pub fn proofs_row(proofs: &Proofs) -> PieceRow {
    PieceRow {
        key: vec![PROOFS],
        value: encode(proofs),
    }
}

/// The row of a cell.
pub fn cell_row(host: &str, generation: u64, cell: &StoredCell) -> PieceRow {
    let mut key = vec![CELL];
    key.extend_from_slice(&generation.to_be_bytes());
    key.extend_from_slice(host.as_bytes());
    PieceRow {
        key,
        value: encode(cell),
    }
}

/// Reads a row; `None` if it is another version's.
///
/// # Errors
/// If it cannot be read.
pub fn read(row: &PieceRow, monitor_version: u64) -> Result<Option<Piece>, Unreadable> {
    let bad_key = || Unreadable {
        what: "piece",
        why: "its key is unknown".to_owned(),
    };
    let piece = match row.key.split_first().ok_or_else(bad_key)? {
        (&PROOFS, []) => {
            let proofs: Proofs = decode("piece with proofs", &row.value)?;
            (proofs.monitor_version == monitor_version).then_some(Piece::Proofs(proofs))
        }
        (&CELL, rest) => {
            let (generation, host) = rest.split_first_chunk().ok_or_else(bad_key)?;
            let host = String::from_utf8(host.to_vec()).map_err(|_| bad_key())?;
            let cell: StoredCell = decode("piece", &row.value)?;
            (cell.monitor_version == monitor_version).then_some(Piece::Cell {
                host,
                generation: u64::from_be_bytes(*generation),
                cell,
            })
        }
        _ => return Err(bad_key()),
    };
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written_by_their_own_version_alone() {
        let cell = StoredCell {
            monitor_version: 7,
            version: CellVersion {
                profile: 1,
                read_to: 2,
                epoch: 3,
                attempt: 4,
            },
            ambiguous: true,
            partial: WirePartial::default(),
        };
        let row = cell_row("hôst", u64::MAX - 1, &cell);
        let piece = Piece::Cell {
            host: "hôst".to_owned(),
            generation: u64::MAX - 1,
            cell,
        };
        assert_eq!(read(&row, 7).expect("reads"), Some(piece));
        assert_eq!(read(&row, 8).expect("reads"), None);
        let states = [(HostState::Ok, Some(Stage::Settled)), (HostState::Timeout, None)];
        let proofs = Proofs::new(7, states);
        assert_eq!(
            (proofs.at(0), proofs.at(1), proofs.at(2)),
            (Some(states[0]), Some(states[1]), None)
        );
        assert_eq!(proofs.states().collect::<Vec<_>>(), states);
        let row = proofs_row(&proofs);
        assert_eq!(read(&row, 7).expect("reads"), Some(Piece::Proofs(proofs)));
        let unknown = PieceRow {
            key: vec![9],
            value: Vec::new(),
        };
        assert!(read(&unknown, 7).is_err());
    }
}
