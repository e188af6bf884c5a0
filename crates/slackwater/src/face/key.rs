//! Values that a person asks for in the key of rows, whether of a service or of a directory.

use crate::connect::files::render;
use crate::decode::spelling::nearest;
use slackwater_core::fold::Final;
use slackwater_core::plan::Plan;
use slackwater_core::value::{Type, Value};

/// A group-by column, by number, and the value that it must have as an output writes it: null if there is none.
pub type Wanted = (usize, Option<String>);

/// The group-by column of a name.
///
/// # Errors
/// What to write instead; `say` tells how a name is written.
pub fn column(plan: &Plan, pipeline: u16, name: &str, say: fn(&str) -> String) -> Result<usize, String> {
    let columns = &plan.pipelines[usize::from(pipeline)].key;
    let names = || columns.iter().map(|column| column.name.as_str());
    names().position(|known| known == name).ok_or_else(|| match nearest(name, names()) {
        Some(near) => format!("did you mean `{}`?", say(near)),
        None => format!("the group-by columns are {}", names().collect::<Vec<_>>().join(", ")),
    })
}

/// Whether a row has these values in its key. An empty one is the empty text, where there may be one, and else null.
pub fn has(plan: &Plan, row: &Final, wanted: &[Wanted]) -> bool {
    let columns = &plan.pipelines[usize::from(row.pipeline)].key;
    wanted.iter().all(|(index, wanted)| {
        let (value, ty) = (row.key[*index].value(), columns[*index].expr.ty);
        let is_null = matches!(value, Value::Null);
        match wanted {
            None => is_null,
            Some(wanted) => !(is_null && ty == Type::Text) && render::cell(value, ty) == *wanted,
        }
    })
}
