import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 5321 §2.3.8. The end of such a message is a matter of opinion (smuggling), so the connection ends with the refusal. */
export const bareLineFeed: RuleCheck<'bare-line-feed'> = ({ bareLineFeeds }, { settings }) => {
  if (!bareLineFeeds || settings.advanced.bareLineFeeds === 'normalize') return 'pass'
  return refuse(
    { reply: 'bareLineFeed', close: true },
    'The message contains a bare CR or LF, and advanced.bareLineFeeds is reject.',
  )
}
