/** Keys for tests: anybody may know them. Made with openssl, good until 2126. */

import type { Row } from '@postern/contract/rows.ts'

export const mxCertificate = {
  name: 'mx',
  source: { type: 'upload' as const },
  certificate: `-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIUbLsRoYD5ByXPnHsUydviuAAUSAYwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHbXgudGVzdDAgFw0yNjExMjIxOTUxMjlaGA8yMTI2MTAyOTE5
NTEyOVowEjEQMA4GA1UEAwwHbXgudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABNRiflCKAvLARzwxglv/gZwCLFdlvmRUogv88oNhw94idpTje0hvhSvwoqfD
32IiV/YzLTb41Sh0dykLBHDRWHCjdzB1MB0GA1UdDgQWBBRGItAiDzoFWK7JA1w2
9yz+q+kHSjAfBgNVHSMEGDAWgBRGItAiDzoFWK7JA1w29yz+q+kHSjAPBgNVHRMB
Af8EBTADAQH/MCIGA1UdEQQbMBmCB214LnRlc3SCDiouZXhhbXBsZS50ZXN0MAoG
CCqGSM49BAMCA0gAMEUCIQCH59C3s74dKK/nRuxaAw6DMXH2iKeNYaHa5dFk73h0
cAIgd+/VJxWSNmUMlm1rdI8+XQx85glPhJvWs/mWuFwydrI=
-----END CERTIFICATE-----
`,
  privateKey: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoP8P4+PRuqQuje6p
9ZjyNWUkPtUnPQOoa6QEygnlfnmhRANCAATUYn5QigLywEc8MYJb/4GcAixXZb5k
VKIL/PKDYcPeInaU43tIb4Ur8KKnw99iIlf2My02+NUodHcpCwRw0Vhw
-----END PRIVATE KEY-----
`,
  names: ['mx.test', '*.example.test'],
  notBefore: '2026-01-01T00:00:00Z',
  notAfter: '2126-01-01T00:00:00Z',
  fingerprint: 'mx',
}

export const otherCertificate = {
  name: 'other',
  source: { type: 'upload' as const },
  certificate: `-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIUHbwTDukkpj4l+5yWYrfDXHnyZuUwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKb3RoZXIudGVzdDAgFw0yNjExMjIxOTUxMjlaGA8yMTI2MTAy
OTE5NTEyOVowFTETMBEGA1UEAwwKb3RoZXIudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABKG/PqeSkyN/pZ6NMu05DVDGusKDaO5Cam0kXcaNXHl6lD/97Cxn
ZC8Od8qic4PSh3bz9HLpt1TdKVbKjWp8xu+jajBoMB0GA1UdDgQWBBRuOmzBwSk6
Ar41GkJNVJgxz2OEhTAfBgNVHSMEGDAWgBRuOmzBwSk6Ar41GkJNVJgxz2OEhTAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCm90aGVyLnRlc3QwCgYIKoZIzj0E
AwIDSAAwRQIhANnG1qCYITe+saoAIlcCZaLYuVUCKHGE/34cT/bLOBRrAiAgsLdU
JAXUp9HaqLzMiTzAqt3fdB+fJXcBBEflvgO6aw==
-----END CERTIFICATE-----
`,
  privateKey: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDiTplgIUmkvJAp9f
e/WTXNAqhy8jMofkVn+CWQ07kOyhRANCAAShvz6nkpMjf6WejTLtOQ1QxrrCg2ju
QmptJF3GjVx5epQ//ewsZ2QvDnfKonOD0od28/Ry6bdU3SlWyo1qfMbv
-----END PRIVATE KEY-----
`,
  names: ['other.test'],
  notBefore: '2026-01-01T00:00:00Z',
  notAfter: '2126-01-01T00:00:00Z',
  fingerprint: 'other',
}

export function certificateRow(value: typeof mxCertificate): Row {
  return { kind: 'certificate', id: value.name, value }
}
