/**
 * Why a recipient waits, as the index keeps it in one column: who holds it, the cause of the last failure, and its reply.
 * Releases before this one wrote only one of them: the holder of a held recipient, or else the reply.
 */
export type WaitingReason = { holder: string; cause: string; reply: string }

const afterHolder = '\x1e'
const afterCause = '\x1f'
const longest = 500

export function reasonText({ holder = '', cause = '', reply = '' }: Partial<WaitingReason>): string {
  return `${holder === '' ? '' : plain(holder) + afterHolder}${cause === '' ? '' : plain(cause) + afterCause}${plain(reply)}`
}

function plain(text: string): string {
  return text.slice(0, longest).replace(/[\x1e\x1f]/g, ' ')
}

/** Who holds it now, whatever held it before; the rest stays. */
export function heldBy(text: string, holder: string): string {
  return plain(holder) + afterHolder + text.slice(text.indexOf(afterHolder) + 1)
}

export function reasonFrom(text: string, isHeld: boolean): WaitingReason {
  const holderEnds = text.indexOf(afterHolder)
  if (isHeld && holderEnds < 0 && !text.includes(afterCause)) return { holder: text, cause: '', reply: '' }
  const rest = text.slice(holderEnds + 1)
  const causeEnds = rest.indexOf(afterCause)
  return {
    holder: holderEnds < 0 ? '' : text.slice(0, holderEnds),
    cause: causeEnds < 0 ? '' : rest.slice(0, causeEnds),
    reply: rest.slice(causeEnds + 1),
  }
}

/** The same in SQL: the column `cause` of a recipient that `@by` holds, and of one that is released. */
export const heldBySql = `? || char(30) || substr(cause, instr(cause, char(30)) + 1)`
export const releasedSql = `CASE WHEN instr(cause, char(30)) = 0 AND instr(cause, char(31)) = 0 THEN '' ELSE substr(cause, instr(cause, char(30)) + 1) END`
