/**
 * The arrows of the house. A room may import what its row lists, itself, and packages from npm; nothing else.
 * `infra` starts the others by path and imports only the contract. `test` may look into every process; nobody imports it.
 */
const arrows = {
  'db/contract': [],
  'db/store': ['db/contract'],
  'db/objects': [],
  'db/log': ['db/objects', 'db/contract'],
  'workers/policy': ['db/contract'],
  'workers/net': ['db/contract'],
  'workers/runtime': ['workers/net', 'db/contract'],
  'workers/spool': ['db/contract'],
  'workers/mailauth': ['workers/net', 'workers/spool', 'db/contract'],
  'workers/smtp': [
    'workers/policy',
    'workers/net',
    'workers/runtime',
    'workers/spool',
    'workers/mailauth',
    'db/contract',
  ],
  'workers/queue': [
    'workers/policy',
    'workers/net',
    'workers/runtime',
    'workers/spool',
    'workers/mailauth',
    'db/contract',
  ],
  'apps/api': ['workers/policy', 'db/log', 'db/objects', 'db/store', 'db/contract'],
  'apps/console': ['workers/policy', 'db/contract'],
  'apps/cli': ['db/contract'],
  infra: ['db/contract'],
  test: [
    'workers/net',
    'apps/api',
    'workers/policy',
    'workers/runtime',
    'workers/spool',
    'workers/mailauth',
    'workers/smtp',
    'workers/queue',
    'db/store',
    'db/objects',
    'db/log',
    'db/contract',
  ],
}

/**
 * The rooms inside the Queue Manager, from the bottom up: a room may import what its row lists and itself. The files beside
 * the rooms (queue.ts, service.ts) put the parts together; no room imports them.
 */
const queueRooms = {
  message: [],
  client: ['message'],
  route: ['client'],
  assure: ['client'],
  dsn: ['message', 'route'],
  form: ['message', 'client', 'route'],
  index: ['message'],
  delivery: ['message', 'client', 'route', 'assure', 'dsn', 'form', 'index'],
  scheduling: ['message', 'client', 'route', 'index', 'delivery'],
  mirror: ['message', 'index'],
}

/** The same for the rooms inside the receiver; the files beside them are receiver.ts and service.ts. */
const smtpRooms = {
  auth: [],
  listen: [],
  lookups: [],
  record: [],
  message: ['lookups', 'record'],
  commands: ['auth', 'lookups', 'message', 'record'],
  session: ['commands', 'listen', 'lookups', 'message', 'record'],
}

/** The packages of the pure rooms. Their tests may also use the test tools. */
const packages = { 'db/contract': ['zod', 'ipaddr\\.js', 'punycode'], 'workers/policy': [] }
const testTools = ['vitest', 'fast-check', 'zod']

const room = '^(apps|workers|db)/[^/]+/|^(infra|test)/'

module.exports = {
  forbidden: [
    ...Object.entries(arrows).map(([from, to]) => ({
      name: `arrows-of-${from.replace('/', '-')}`,
      comment: `${from} may import only: ${to.join(', ') || 'none of our modules'}`,
      severity: 'error',
      from: { path: `^${from}/` },
      to: { path: room, pathNot: [from, ...to].map((name) => `^${name}/`) },
    })),
    ...Object.entries({ queue: queueRooms, smtp: smtpRooms }).flatMap(([worker, rooms]) =>
      Object.entries(rooms).map(([from, to]) => ({
        name: `rooms-of-${worker}-${from}`,
        comment: `workers/${worker}/${from} may import only these rooms of workers/${worker}: ${to.join(', ') || 'none'}`,
        severity: 'error',
        from: { path: `^workers/${worker}/${from}/`, pathNot: '\\.test\\.ts$' },
        to: {
          path: `^workers/${worker}/`,
          pathNot: [...[from, ...to].map((name) => `^workers/${worker}/${name}/`), '\\.d\\.ts$'],
        },
      })),
    ),
    {
      name: 'pure-rooms-do-no-io',
      comment: 'db/contract and workers/policy are pure: no node: module, not even through a package',
      severity: 'error',
      from: { path: '^(db/contract|workers/policy)/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    ...Object.entries(packages).flatMap(([from, names]) => [
      {
        name: `packages-of-${from.replace('/', '-')}`,
        comment: `${from} may use only: ${names.join(', ') || 'no package'}`,
        severity: 'error',
        from: { path: `^${from}/`, pathNot: '\\.test\\.ts$' },
        to: { path: 'node_modules/', pathNot: names.map((name) => `node_modules/${name}/`) },
      },
      {
        name: `packages-of-${from.replace('/', '-')}-tests`,
        comment: `the tests of ${from} may use only: ${[...names, ...testTools].join(', ')}`,
        severity: 'error',
        from: { path: `^${from}/.*\\.test\\.ts$` },
        to: { path: 'node_modules/', pathNot: [...names, ...testTools].map((name) => `node_modules/${name}/`) },
      },
    ]),
    {
      name: 'api-keeps-to-web-standards',
      comment: 'The API uses only Web standards. Code that needs Node is in the entry points, node/ and embedded/',
      severity: 'error',
      from: { path: '^apps/api/', pathNot: '^apps/api/((main|lambda)\\.ts|node/|embedded/|test/)|\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-circle',
      comment: 'Modules must not import each other in a circle, not even for types',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphan-dependency',
      comment: 'Every imported package must be declared in package.json',
      severity: 'error',
      from: { path: '^(apps|workers|db|infra)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(apps/[^/]+|infra)/(dist|cdk\\.out)/' },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.js'],
    },
  },
}
