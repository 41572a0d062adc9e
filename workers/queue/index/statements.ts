import type Database from 'better-sqlite3'
import { heldBySql, releasedSql } from '../message/waiting-reason.ts'
import { untoldSchema } from './untold.ts'

/** The index's tables, and everything that is asked of them. */

export const schema = `
CREATE TABLE IF NOT EXISTS messages (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, location TEXT NOT NULL, segment TEXT NOT NULL, octets INTEGER NOT NULL,
  received_at INTEGER NOT NULL, rerouted TEXT NOT NULL, warned INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS recipients (
  n INTEGER NOT NULL, r INTEGER NOT NULL, domain TEXT NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL,
  next_at INTEGER NOT NULL, interrupted INTEGER NOT NULL DEFAULT 0, cause TEXT NOT NULL,
  PRIMARY KEY (n, r)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recipients_due ON recipients (state, domain, next_at);
CREATE INDEX IF NOT EXISTS messages_segment ON messages (segment, octets);
CREATE TABLE IF NOT EXISTS overlays (n INTEGER PRIMARY KEY, overlay TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cursors (writer TEXT PRIMARY KEY, cursor TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS finished (
  writer TEXT NOT NULL, cursor TEXT NOT NULL, ids TEXT NOT NULL, PRIMARY KEY (writer, cursor)
) STRICT;
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS used_by (release TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
${untoldSchema}
CREATE TRIGGER IF NOT EXISTS message_inserted AFTER INSERT ON messages BEGIN
  UPDATE facts SET value = value + 1 WHERE name = 'messages';
END;
CREATE TRIGGER IF NOT EXISTS message_removed AFTER DELETE ON messages BEGIN
  UPDATE facts SET value = value - 1 WHERE name = 'messages';
END;
CREATE TRIGGER IF NOT EXISTS recipient_inserted AFTER INSERT ON recipients BEGIN
  UPDATE facts SET value = value + 1 WHERE name = 'recipients';
END;
CREATE TRIGGER IF NOT EXISTS recipient_removed AFTER DELETE ON recipients BEGIN
  UPDATE facts SET value = value - 1 WHERE name = 'recipients';
END;
`

export function prepare(db: Database.Database) {
  const due = 'n, r, domain, state, tries, next_at, cause'
  return {
    insertMessage: db.prepare('INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    insertRecipient: db.prepare(
      'INSERT INTO recipients (n, r, domain, state, tries, next_at, cause) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    update: db.prepare(
      'UPDATE recipients SET state = ?, tries = ?, next_at = ?, interrupted = 0, cause = ? WHERE n = ? AND r = ? AND state = 0',
    ),
    remove: db.prepare('DELETE FROM recipients WHERE n = ? AND r = ? AND state = 0'),
    removeMessage: db.prepare(
      'DELETE FROM messages WHERE n = ? AND NOT EXISTS (SELECT 1 FROM recipients WHERE n = ?) RETURNING id, segment, octets AS bytes',
    ),
    changed: db.prepare("UPDATE facts SET value = value + 1 WHERE name = 'changes'"),
    sidecarChanged: db.prepare("UPDATE sidecar_facts SET value = value + 1 WHERE name = 'changes'"),
    place: db.prepare('SELECT segment, octets AS bytes FROM messages WHERE n = ?'),
    relocate: db.prepare('UPDATE messages SET location = ?, segment = ? WHERE n = ?'),
    overlay: db.prepare('INSERT OR REPLACE INTO overlays SELECT n, ? FROM messages WHERE n = ?'),
    overlayOf: db.prepare('SELECT overlay FROM overlays WHERE n = ?'),
    removeOverlay: db.prepare('DELETE FROM overlays WHERE n = ?'),
    warned: db.prepare('UPDATE messages SET warned = 1 WHERE n = ?'),
    order: db.prepare('INSERT OR IGNORE INTO orders VALUES (?, ?)'),
    orderDone: db.prepare('SELECT 1 FROM orders WHERE id = ?'),
    finish: db.prepare('INSERT OR REPLACE INTO finished VALUES (?, ?, ?)'),
    unfinish: db.prepare('DELETE FROM finished WHERE writer = ? AND cursor = ?'),
    cursor: db.prepare('INSERT OR REPLACE INTO cursors VALUES (?, ?)'),
    nextDomain: db.prepare(
      'SELECT domain, next_at FROM recipients WHERE state = 1 AND domain > ? ORDER BY domain, next_at LIMIT 1',
    ),
    due: db.prepare(
      `SELECT ${due} FROM recipients WHERE state = 1 AND domain = ? AND next_at <= ? ORDER BY next_at LIMIT ?`,
    ),
    dueOfMessage: db.prepare(`SELECT ${due} FROM recipients WHERE n = ? AND state = 1 AND next_at <= ? ORDER BY r`),
    ofMessage: db.prepare(
      `SELECT ${due} FROM recipients WHERE n = (SELECT n FROM messages WHERE id = ?) AND state <> 0`,
    ),
    activate: db.prepare('UPDATE recipients SET state = 0 WHERE n = ? AND r = ?'),
    message: db.prepare(
      'SELECT n, id, location, segment, octets AS bytes, received_at, rerouted, warned FROM messages WHERE n = ?',
    ),
    locate: db.prepare('SELECT location, octets AS bytes FROM messages WHERE id = ?'),
    numberOf: db.prepare('SELECT n FROM messages WHERE id = ?'),
    hold: db.prepare(`UPDATE recipients SET state = 2, next_at = 0, cause = ${heldBySql} WHERE n = ? AND state = 1`),
    release: db.prepare(
      `UPDATE recipients SET state = 1, next_at = ?, cause = ${releasedSql} WHERE n = ? AND state = 2`,
    ),
    retry: db.prepare('UPDATE recipients SET next_at = ? WHERE n = ? AND state = 1'),
    reroute: db.prepare('UPDATE messages SET rerouted = ? WHERE n = ?'),
    latest: db.prepare('SELECT domain, next_at FROM recipients WHERE state = 1 AND domain > ? ORDER BY domain LIMIT 1'),
    hasten: db.prepare(
      `UPDATE recipients SET next_at = ? WHERE (n, r) IN
       (SELECT n, r FROM recipients WHERE state = 1 AND domain = ? AND next_at > ? LIMIT ?) RETURNING n`,
    ),
    inSegment: db.prepare(
      `SELECT n, id, location FROM messages WHERE segment = ?
       AND NOT EXISTS (SELECT 1 FROM recipients WHERE recipients.n = messages.n AND state = 0) LIMIT ?`,
    ),
  }
}
