import { globSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

/**
 * Some writes may be short, and only their result says so. One of them cut mail that was reported as delivered. So only
 * two files may call them, which repeat the write until it is complete. All other code writes through these, or with
 * Node's writeFile and appendFile.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const wholeWriters = ['workers/spool/local/disk.ts']
const onHandles = new Set(['write', 'writev'])
const ofModule = new Set(['write', 'writev', 'writeSync', 'writevSync'])

/** Calls of a short write in these files, as `file:line text`. `texts`: files that are not on disk. */
function shortWrites(files: readonly string[], texts: ReadonlyMap<string, string> = new Map()): string[] {
  const options: ts.CompilerOptions = {
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
    allowImportingTsExtensions: true,
    types: ['node'],
    typeRoots: [`${root}node_modules/@types`],
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  // Of our own modules only those that deal with files: the rest need not be parsed.
  const ours = new Set(files)
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => {
      const { resolvedModule } = ts.resolveModuleName(text, from, options, host)
      const known = from.includes('/node_modules/') || ours.has(resolvedModule?.resolvedFileName ?? '')
      return { resolvedModule: known ? resolvedModule : undefined }
    })
  host.fileExists = (name) => texts.has(name) || fileExists.call(host, name)
  host.getSourceFile = (name, ...rest) => {
    const text = texts.get(name)
    return text === undefined
      ? getSourceFile.call(host, name, ...rest)
      : ts.createSourceFile(name, text, ts.ScriptTarget.ESNext)
  }
  const program = ts.createProgram({ rootNames: [...files], options, host })
  const checker = program.getTypeChecker()
  return files.flatMap((file) => {
    const source = program.getSourceFile(file) as ts.SourceFile
    const found: string[] = []
    const look = (node: ts.Node): void => {
      if ((ts.isPropertyAccessExpression(node) || ts.isIdentifier(node)) && isShortWrite(node, checker)) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
        found.push(`${relative(root, file)}:${line + 1} ${node.getText(source)}`)
      }
      ts.forEachChild(node, look)
    }
    look(source)
    return found
  })
}

/** Finds calls by declaration, whatever the local name: a method of FileHandle, a function of node:fs. */
function isShortWrite(node: ts.PropertyAccessExpression | ts.Identifier, checker: ts.TypeChecker): boolean {
  const name = ts.isIdentifier(node) ? node : node.name
  if (ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) return false
  if (ts.isPropertyAccessExpression(node) && !ofModule.has(name.text)) return false
  const taken = ts.isBindingElement(node.parent) && node.parent.parent
  const symbol = taken ? checker.getTypeAtLocation(taken).getProperty(name.text) : checker.getSymbolAtLocation(name)
  const real = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  return (real?.declarations ?? []).some((declaration) => {
    const file = declaration.getSourceFile().fileName
    if (!/\/@types\/node\/fs(\/promises)?\.d\.ts$/.test(file)) return false
    const { parent } = declaration
    const ofHandle = ts.isInterfaceDeclaration(parent) && parent.name.text === 'FileHandle'
    return ofHandle
      ? onHandles.has(real?.name ?? '')
      : ts.isFunctionDeclaration(declaration) && ofModule.has(real?.name ?? '')
  })
}

test('no code writes to a file in a way that may be short', () => {
  const files = globSync('{apps,workers,db}/**/*.{ts,tsx}', {
    cwd: root,
    exclude: (name) => /(^|\/)(node_modules|dist)$|\.test\.tsx?$|\.d\.ts$/.test(name),
  }).map((name) => `${root}${name}`)
  const onFiles = files.filter((file) => readFileSync(file, 'utf8').includes('node:fs'))
  expect(onFiles.length).toBeGreaterThan(20)
  const found = shortWrites(onFiles).filter((each) => !wholeWriters.some((file) => each.startsWith(`${file}:`)))
  expect(found).toEqual([])
})

test('the guard detects each of these ways', () => {
  const text = [
    "import { open } from 'node:fs/promises'",
    "import * as fs from 'node:fs'",
    "import { writeSync as say } from 'node:fs'",
    "import { createConnection } from 'node:net'",
    "const file = await open('x', 'w')",
    "await file.write('a')",
    'await file?.writev([])',
    'const { write } = file',
    "fs.write(1, 'a', () => {})",
    "say(1, 'a')",
    'const later = fs.writev',
    "await file.appendFile('a')",
    "fs.writeFileSync('x', 'a')",
    "createConnection(1).write('a')",
    'process.stdout.write(String(later) + String(write))',
  ].join('\n')
  const planted = `${root}workers/runtime/planted.ts`
  expect(shortWrites([planted], new Map([[planted, text]])).map((each) => each.split(':')[1])).toEqual([
    '3 writeSync',
    '3 say',
    '6 file.write',
    '7 file?.writev',
    '8 write',
    '9 fs.write',
    '10 say',
    '11 fs.writev',
  ])
})
