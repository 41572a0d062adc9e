import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

/**
 * Runs a bare smtp-server that accepts and discards everything, which is the upper limit for servers built on it. Its
 * wait of 100 ms for early talkers is removed, because 50 sessions with one message each could then not exceed 500
 * messages per second. Prints its port.
 */
SMTPConnection.prototype.init = function () {
  this._setListeners(() => this.connectionReady())
}

const server = new SMTPServer({
  disabledCommands: ['AUTH', 'STARTTLS'],
  disableReverseLookup: true,
  logger: false,
  size: 26_214_400,
  onData: (stream, _session, done) => {
    stream.on('end', () => done()).resume()
  },
})
server.on('error', () => {})
server.listen(Number(process.argv[2]), '127.0.0.1')
