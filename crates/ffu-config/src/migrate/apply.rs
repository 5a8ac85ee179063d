//! The plan carried out in the documents.

use super::MigrateError;
use super::work::{Order, Step, Work};
use crate::ini::{Document, EditError, EntryId, normalise_group};

/// The documents with all edits made.
pub(crate) fn apply(work: &Work<'_, '_>) -> Result<Vec<Document>, MigrateError> {
    let mut documents: Vec<Document> = work.files.files().iter().map(|file| file.document.clone()).collect();
    for ((file, entry), step) in &work.steps {
        let Some(document) = documents.get_mut(*file) else {
            continue;
        };
        let subject = document
            .entry(*entry)
            .map(|entry| format!("{}.{}", entry.group(), entry.key))
            .unwrap_or_default();
        carry_out(document, *entry, step).map_err(|error| edit_error(work, *file, subject, error))?;
    }
    for insert in &work.inserts {
        let Some(document) = documents.get_mut(insert.file) else {
            continue;
        };
        let comments: Vec<&str> = insert.comments.iter().map(String::as_str).collect();
        document
            .insert(&insert.group, &insert.key, &insert.value, &comments)
            .map_err(|error| edit_error(work, insert.file, format!("{}.{}", insert.group, insert.key), error))?;
    }
    for ((file, group, key), order) in &work.orders {
        let Some(document) = documents.get_mut(*file) else {
            continue;
        };
        put_in_order(document, group, key, order)
            .map_err(|error| edit_error(work, *file, format!("{group}.{key}"), error))?;
    }
    Ok(documents)
}

fn edit_error(work: &Work<'_, '_>, file: usize, subject: String, error: EditError) -> MigrateError {
    MigrateError::Edit {
        label: work
            .files
            .files()
            .get(file)
            .map(|file| file.label.clone())
            .unwrap_or_default(),
        subject,
        error,
    }
}

fn carry_out(document: &mut Document, entry: EntryId, step: &Step) -> Result<(), EditError> {
    if let Some(reasons) = &step.comment_out {
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("ffu: {reason}")).collect();
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        return document.comment_out(entry, &reasons);
    }
    if let Some((group, key)) = &step.to {
        let (there, called) = match document.entry(entry) {
            Some(entry) => (entry.group().into_owned(), entry.key.clone().into_owned()),
            None => return Ok(()),
        };
        if called != *key {
            document.rename(entry, key)?;
        }
        if there != *group {
            document.move_to(entry, group)?;
        }
    }
    if let Some(value) = &step.value {
        document.set_value(entry, value)?;
    }
    if let Some(mark) = &step.mark {
        document.annotate(entry, &[&format!("ffu: {mark}")])?;
    }
    Ok(())
}

/// Entries that met under one name stand in the order in which their values counted before.
fn put_in_order(document: &mut Document, group: &str, key: &str, order: &Order) -> Result<(), EditError> {
    let stand: Vec<EntryId> = document
        .entries()
        .filter(|entry| entry.key == key && normalise_group(entry.section) == group)
        .map(|entry| entry.id)
        .collect();
    // An entry may reach this name from where it stands, by an old spelling; then it stays there.
    let wanted: Vec<EntryId> = order.places.iter().copied().filter(|id| stand.contains(id)).collect();
    let Some(last) = wanted.last() else { return Ok(()) };
    if order.multi {
        let among: Vec<EntryId> = stand.iter().copied().filter(|id| wanted.contains(id)).collect();
        if among != wanted {
            for id in wanted {
                document.move_to(id, group)?;
            }
        }
    } else if order.places.last() == Some(last) && stand.last().is_some_and(|stands| stands != last) {
        document.move_to(*last, group)?;
    }
    Ok(())
}
