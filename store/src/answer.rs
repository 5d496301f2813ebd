//! What a store answers to a request of the protocol, cut to what one answer may hold. The same for a caller in this
//! process and for one on another node.

use crate::protocol::{ANSWER_BYTES_MAX, StoreAnswer, StoreRequest, WINDOWS_MAX};
use crate::traits::{Page, Store, StoreError, StoredWindow, WindowSelection};

/// Where answers are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cuts {
    pub(crate) windows_max: usize,
    pub(crate) bytes_max: usize,
}

impl Default for Cuts {
    fn default() -> Self {
        Cuts {
            windows_max: WINDOWS_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

/// Answers a request; blocks for as long as the disk takes.
pub(crate) fn answer(store: &dyn Store, request: StoreRequest, cuts: Cuts) -> Result<StoreAnswer, StoreError> {
    let bytes_max = cuts.bytes_max;
    match request {
        StoreRequest::Write(windows) => Ok(StoreAnswer::Written(store.write(&windows)?)),
        StoreRequest::Windows {
            monitor,
            from_ns,
            to_ns,
            most,
            bodies,
        } => windows(
            store,
            &monitor,
            WindowSelection::Between { from_ns, to_ns, bodies },
            (most, cuts),
        ),
        StoreRequest::Newest {
            monitor,
            before_ns,
            most,
        } => windows(store, &monitor, WindowSelection::Newest { before_ns }, (most, cuts)),
        StoreRequest::Undone {
            monitor,
            from_ns,
            to_ns,
            most,
        } => windows(
            store,
            &monitor,
            WindowSelection::Undone { from_ns, to_ns },
            (most, cuts),
        ),
        StoreRequest::Pieces {
            monitor,
            from_ns,
            to_ns,
        } => {
            let Page { items: pieces, more } = store.pieces_page(&monitor, from_ns..to_ns, bytes_max)?;
            Ok(StoreAnswer::Pieces { pieces, more })
        }
        StoreRequest::Monitors => Ok(StoreAnswer::Monitors(store.monitors()?)),
        StoreRequest::PutDocument(document) => {
            store.put_document(&document)?;
            Ok(StoreAnswer::Done)
        }
        StoreRequest::Documents {
            kind,
            name,
            from_version,
        } => {
            let page = store.documents_page(&kind, &name, from_version, bytes_max)?;
            let Page { items: documents, more } = page;
            Ok(StoreAnswer::Documents { documents, more })
        }
        StoreRequest::Status => Ok(StoreAnswer::Status(store.status()?)),
    }
}

fn windows(
    store: &dyn Store,
    monitor: &str,
    selection: WindowSelection,
    (most, cuts): (u32, Cuts),
) -> Result<StoreAnswer, StoreError> {
    let asked = usize::try_from(most).unwrap_or(usize::MAX);
    let most = asked.min(cuts.windows_max);
    let page: Page<StoredWindow> = store.windows_page(monitor, selection, most, cuts.bytes_max)?;
    // Asked for more than one answer may hold, and all that it holds is there: whether there are more shows the next.
    let more = page.more || (page.items.len() == most && most < asked);
    Ok(StoreAnswer::Windows {
        windows: page.items,
        more,
    })
}
