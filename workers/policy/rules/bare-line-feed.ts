import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Refuses bare line feeds (RFC 5321 §2.3.8). Servers disagree about the end of such a message (smuggling), so the
 * refusal ends the connection.
 */
export const bareLineFeed: RuleCheck<'bare-line-feed'> = ({ bareLineFeeds }, { settings }) => {
  if (!bareLineFeeds || settings.advanced.bareLineFeeds === 'normalize') return 'pass'
  return refuse(
    { reply: 'bareLineFeed', close: true },
    'The message contains a bare CR or LF, and advanced.bareLineFeeds is reject.',
  )
}
