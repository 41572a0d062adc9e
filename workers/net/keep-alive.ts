/**
 * Options of every outbound TCP connection. A NAT or firewall may drop an idle flow after minutes (350 s at AWS; RFC
 * 5382 §5 allows it only after two hours). If the 250 reply is lost in this way, mail is delivered twice.
 */
export const keepAlive = { keepAlive: true, keepAliveInitialDelay: 45_000 } as const
