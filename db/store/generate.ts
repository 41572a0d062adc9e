import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * `node db/store/generate.ts [name]`: compares the tables with the migrations, writes the missing migration, and embeds
 * all of them in `migrations/embedded.ts`, so that a bundle contains them. Run it after every change to a table, and
 * commit the result.
 */
const here = import.meta.dirname
const databases = ['control', 'records'] as const

// drizzle-kit is installed at the root and looks for drizzle-orm there, but npm installs it here.
const hoisted = join(here, '../../node_modules/drizzle-orm')
const linked = !existsSync(hoisted)
if (linked) symlinkSync(join(here, 'node_modules/drizzle-orm'), hoisted)
try {
  for (const database of databases)
    execFileSync(
      'drizzle-kit',
      ['generate', '--config', `${database}.config.ts`, '--name', process.argv[2] ?? 'next'],
      {
        cwd: here,
        stdio: 'inherit',
      },
    )
} finally {
  if (linked) unlinkSync(hoisted)
}

const embedded = databases.map((database) => {
  const folder = join(here, 'migrations', database)
  const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8')) as { entries: { tag: string }[] }
  const steps = journal.entries.map(({ tag }) => ({
    name: tag,
    statements: readFileSync(join(folder, `${tag}.sql`), 'utf8')
      .split('--> statement-breakpoint')
      .map((statement) => statement.trim()),
  }))
  return `export const ${database}Migrations: Migration[] = ${JSON.stringify(steps, null, 2)}\n`
})
writeFileSync(
  join(here, 'migrations/embedded.ts'),
  `/** Made by generate.ts from the SQL beside it. */\nexport type Migration = { name: string; statements: string[] }\n\n${embedded.join('\n')}`,
)
