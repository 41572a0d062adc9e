/**
 * Options of every outbound TCP connection. A NAT or firewall forgets a silent flow after minutes (350 s at AWS, RFC 5382 §5
 * allows it after two hours only): mail whose 250 was lost so is delivered twice.
 */
export const keepAlive = { keepAlive: true, keepAliveInitialDelay: 45_000 } as const
