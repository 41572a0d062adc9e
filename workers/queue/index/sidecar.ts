import { renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { countsSchema } from './counts.ts'

/**
 * A small SQLite file that lies with the segments, so that an index and its segments know that they belong together, and
 * which of the two was put back from a backup. It says which index took the segments over (`incarnation`), after how many
 * transactions (`changes`), and keeps what no segment tells and a rebuilt index would have forgotten: tries, holds,
 * warnings given and other routes, of the messages that have any, and what was counted. Mail that is delivered at once
 * only changes the counts.
 *
 * It is attached to the index's connection and kept by triggers of that connection, so no change can pass it by. It is
 * committed after the index: it may be a transaction behind it, never ahead.
 */

const tables = `
CREATE TABLE IF NOT EXISTS sidecar.sidecar_facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sidecar.known_recipients (
  id TEXT NOT NULL, r INTEGER NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL, next_at INTEGER NOT NULL,
  cause TEXT NOT NULL, PRIMARY KEY (id, r)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sidecar.known_messages (
  id TEXT PRIMARY KEY, warned INTEGER NOT NULL, rerouted TEXT NOT NULL
) STRICT, WITHOUT ROWID;
${countsSchema('sidecar')}
`

/** A row that is worked on keeps what was known of it: that is what it goes back to after a crash. */
const triggers = `
CREATE TEMP TRIGGER known_recipient_inserted AFTER INSERT ON main.recipients WHEN NEW.state = 2 OR NEW.tries > 0 BEGIN
  INSERT OR REPLACE INTO known_recipients
    SELECT id, NEW.r, NEW.state, NEW.tries, NEW.next_at, NEW.cause FROM messages WHERE n = NEW.n;
END;
CREATE TEMP TRIGGER known_recipient_updated AFTER UPDATE ON main.recipients WHEN NEW.state <> 0 BEGIN
  DELETE FROM known_recipients WHERE id = (SELECT id FROM messages WHERE n = NEW.n) AND r = NEW.r;
  INSERT INTO known_recipients
    SELECT id, NEW.r, NEW.state, NEW.tries, NEW.next_at, NEW.cause FROM messages
    WHERE n = NEW.n AND (NEW.state = 2 OR NEW.tries > 0);
END;
CREATE TEMP TRIGGER known_recipient_removed AFTER DELETE ON main.recipients BEGIN
  DELETE FROM known_recipients WHERE id = (SELECT id FROM messages WHERE n = OLD.n) AND r = OLD.r;
END;
CREATE TEMP TRIGGER known_message_inserted AFTER INSERT ON main.messages WHEN NEW.warned = 1 OR NEW.rerouted <> '' BEGIN
  INSERT OR REPLACE INTO known_messages VALUES (NEW.id, NEW.warned, NEW.rerouted);
END;
CREATE TEMP TRIGGER known_message_updated AFTER UPDATE OF warned, rerouted ON main.messages BEGIN
  INSERT OR REPLACE INTO known_messages VALUES (NEW.id, NEW.warned, NEW.rerouted);
END;
CREATE TEMP TRIGGER known_message_removed AFTER DELETE ON main.messages BEGIN
  DELETE FROM known_messages WHERE id = OLD.id;
END;
`

export type SidecarState = { incarnation: number | undefined; changes: number }

/** Attaches the file, making it when it is missing. A damaged one is moved aside: the index is compared with the segments then. */
export function attachSidecar(db: Database.Database, path: string, now: number): SidecarState {
  setDamagedAside(path, now)
  db.prepare('ATTACH ? AS sidecar').run(path)
  db.pragma('sidecar.journal_mode = WAL')
  // A machine that stops may take the last transactions along: then it is behind, and brought up to date.
  db.pragma('sidecar.synchronous = NORMAL')
  db.exec(tables)
  db.exec(triggers)
  const value = db.prepare('SELECT value FROM sidecar_facts WHERE name = ?').pluck()
  return {
    incarnation: value.get('incarnation') as number | undefined,
    changes: (value.get('changes') as number | undefined) ?? 0,
  }
}

function setDamagedAside(path: string, now: number): void {
  const alone = new Database(path)
  try {
    if (alone.pragma('quick_check(1)', { simple: true }) === 'ok') return
  } catch (error) {
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test((error as { code?: string }).code ?? '')) throw error
  } finally {
    alone.close()
  }
  renameSync(path, `${path}.damaged-${now}`)
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
}

/** Writes it anew from the index. */
export function refillSidecar(db: Database.Database): void {
  db.exec(`
    DELETE FROM known_recipients;
    INSERT INTO known_recipients SELECT id, r, state, tries, next_at, cause FROM recipients JOIN messages USING (n)
      WHERE state = 2 OR tries > 0;
    DELETE FROM known_messages;
    INSERT INTO known_messages SELECT id, warned, rerouted FROM messages WHERE warned = 1 OR rerouted <> '';`)
}

/** Forgets what the index does not have. */
export function tidySidecar(db: Database.Database): void {
  db.exec(`
    DELETE FROM known_recipients WHERE id NOT IN (SELECT id FROM messages);
    DELETE FROM known_messages WHERE id NOT IN (SELECT id FROM messages);`)
}
