import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

/**
 * A process of its own: a bare smtp-server that takes everything and forgets it, the upper limit of what is built on it.
 * Its early-talker wait of 100 ms is taken out, because it would measure a timer: 50 sessions could not do more than 500
 * messages a second with one message each. Prints its port.
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
