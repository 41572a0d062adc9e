import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PassThrough } from 'node:stream'
import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { describe, expect, it } from 'vitest'

/** What `smtp-server-base.ts` relies on, checked against the installed release: a release that changes it must be read first. */

const require = createRequire(import.meta.url)
const { version } = require('smtp-server/package.json') as { version: string }

type Members = Record<string, unknown>
const source = (of: Members, name: string) => String(of[name]).replace(/\s+/g, ' ')

/** As a server and a socket, as far as the constructor of a connection looks at them. */
function connection(Class: typeof SMTPConnection = SMTPConnection) {
  const server = new SMTPServer({
    logger: false,
    disableReverseLookup: true,
    hideSTARTTLS: true,
    socketTimeout: 30_000,
  })
  const socket = Object.assign(new PassThrough(), { setTimeout: () => socket, setNoDelay: () => socket }) as never
  return { server, socket, made: new Class(server, socket, { id: 'test-1', remoteAddress: '192.0.2.1' }) }
}

describe(`smtp-server ${version}`, () => {
  it('is the release that was read', () => {
    const { dependencies } = require('../package.json') as { dependencies: { [name: string]: string } }
    expect(dependencies['smtp-server']).toBe(version)
    expect(version).toBe('3.21.6')
  })

  it('has the methods that are called and overridden, with the parameters that are passed', () => {
    const arity = (of: object, names: string[]) =>
      Object.fromEntries(
        names.map((name) => [name, ((of as Members)[name] as { length?: number } | undefined)?.length]),
      )
    expect(arity(SMTPServer.prototype, ['updateSecureContext', '_resolveSNI', '_upgrade'])).toEqual({
      updateSecureContext: 1,
      _resolveSNI: 2,
      _upgrade: 2,
    })
    const names = ['init', 'send', 'close', 'upgrade', '_createParser', '_setListeners', '_armTimeout', '_onClose']
    expect(arity(SMTPConnection.prototype, names)).toEqual({
      init: 0,
      send: 3,
      close: 0,
      upgrade: 2,
      _createParser: 0,
      _setListeners: 1,
      _armTimeout: 0,
      _onClose: 0,
    })
  })

  it('has the fields that are read and set, of the kind they are used as', () => {
    const { server, socket, made } = connection()
    expect(server.connections).toBeInstanceOf(Set)
    expect(server.secureContext).toBeInstanceOf(Map)
    expect(server._pendingSockets).toBeInstanceOf(Map)
    expect(made._socket).toBe(socket)
    expect(made).toMatchObject({ id: 'test-1', _upgrading: false, _closing: false, _closed: false, secure: false })
  })

  it('makes its parser by the method that is overridden, within the constructor and again for TLS', () => {
    let made = 0
    const parser = Object.assign(new PassThrough(), { isClosed: false })
    class Probe extends SMTPConnection {
      override _createParser() {
        made++
        return parser
      }
    }
    expect(connection(Probe).made._parser).toBe(parser)
    expect(made).toBe(1)
    expect(source(SMTPConnection.prototype as never, 'upgrade')).toContain('this._parser = this._createParser()')
  })

  it('pipes the socket into the parser, arms its timer through the method that is overridden, and closes the parser', () => {
    let armed = 0
    const parser = Object.assign(new PassThrough(), { isClosed: false })
    class Probe extends SMTPConnection {
      override _createParser() {
        return parser
      }
      override _armTimeout() {
        armed++
      }
    }
    const { server, made } = connection(Probe)
    server.connections.add(made)
    let began = false
    made._setListeners(() => {
      began = true
    })
    expect({ began, armed }).toEqual({ began: true, armed: 1 })
    made.close()
    expect(made._closing).toBe(true)
    expect(parser.isClosed).toBe(true)
    expect(server.connections.has(made)).toBe(false)
    made._onClose()
    expect({ closed: made._closed, closing: made._closing, parser: made._parser }).toEqual({
      closed: true,
      closing: false,
      parser: false,
    })
  })

  it('hands the TLS socket of a handshake to the timer, and to the server that keeps the handshake', () => {
    expect(source(SMTPConnection.prototype as never, 'upgrade')).toMatch(
      /this\._upgrading = true;.*this\._armTimeout\(tlsSocket\);.*once\('secure'.*this\._socket = tlsSocket; this\._upgrading = false;/,
    )
    expect(source(SMTPServer.prototype as never, '_upgrade')).toMatch(
      /if \(this\._pendingSockets\.has\(socket\)\) \{ this\._pendingSockets\.set\(socket, secureSocket\); \}/,
    )
  })

  it('is touched in this file alone', () => {
    const { readdirSync } = require('node:fs') as typeof import('node:fs')
    const room = new URL('..', import.meta.url).pathname
    const files = readdirSync(room, { recursive: true, encoding: 'utf8' }).filter(
      (file) => /^[^.]+(?:\/[^.]+)*\.ts$/.test(file) && !file.startsWith('node_modules'),
    )
    const members = /\b(?:this|session|receiver|server|connection)\._[a-z]\w+|\boverride _\w+/
    const touching = files.filter((file) => members.test(readFileSync(`${room}/${file}`, 'utf8')))
    expect(touching).toEqual(['session/smtp-server-base.ts'])
  })
})
