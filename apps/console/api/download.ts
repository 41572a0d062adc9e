import { type Call, send } from './client.ts'

/** Downloads a file with the token, which a plain link would not send. `name`: for an answer that does not name it. */
export async function download(call: Call, name: string): Promise<void> {
  const response = await send(call)
  const [, given] = /filename="([\w.-]+)"/.exec(response.headers.get('content-disposition') ?? '') ?? []
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = given ?? name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
