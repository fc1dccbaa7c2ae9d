/**
 * Redis streams over plain sockets: only the part of RESP2 that answers to XADD, XREAD, XRANGE and XREVRANGE need.
 * Messages contain no line breaks, so the number of lines tells where an answer ends.
 */
import { type Contestant, message } from "./contestants.ts"
import { type Following, sequencesIn } from "./follower.ts"
import { connect, connectPoster, type EndOfAnswer, openRequests } from "./load.ts"
import type { ServerProcess } from "./servers.ts"

export const redisName = "Redis, appendfsync always"

export const redis = (server: ServerProcess): Contestant => ({
  name: redisName,
  open: async (shape) => {
    const requests = Array.from({ length: shape.streams }, (_, i) => {
      const one = redisAdd(`append-${i}`, message(shape.bytes))
      return Buffer.from(one.repeat(shape.batch))
    })
    const load = await openRequests({
      port: server.port,
      requests: () => requests,
      connections: shape.connections,
      operations: shape.batch,
      endOfAnswer: endOfAdds(shape.batch)
    })
    const before = () =>
      redisCommand(server.port, requests.map((_, i) => command("DEL", `append-${i}`)).join(""), requests.length)
    return { side: { name: redisName, server, before, round: () => load.run(shape) }, close: load.close }
  }
})

export const redisAdd = (stream: string, data: string): string => command("XADD", stream, "*", "d", data)

const command = (...words: ReadonlyArray<string>): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`

/** Sends commands whose answers together have `lines` lines, and returns the answers. */
const redisCommand = async (port: number, commands: string, lines: number): Promise<string> => {
  let text = ""
  let settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined
  const { close, socket } = await connect(port, (chunk) => {
    text += chunk.toString("latin1")
    if (text.startsWith("-")) settle?.reject(new Error(text))
    if (endOfLines(text, lines) !== undefined) settle?.resolve()
  }, (error) => settle?.reject(error))
  await new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
    socket.write(commands)
  })
  close()
  return text
}

/** Reads on from the last entry, and waits if there is no newer one. */
export const followRedis = async ({ onLost, onSequence, path, port }: Following) => {
  const sequences = sequencesIn(onSequence)
  let pending = ""
  const { close, socket } = await connect(port, (chunk) => {
    pending += chunk.toString("latin1")
    const entries = /^\*1\r\n\*2\r\n\$\d+\r\n[^\r]+\r\n\*(\d+)\r\n/.exec(pending)
    if (entries === null) return pending.startsWith("-") ? onLost(new Error(pending)) : undefined
    // Five lines of head, and eight for an entry: its id, and its one field with the value.
    if (endOfLines(pending, 5 + 8 * Number(entries[1])) === undefined) return
    const body = pending
    pending = ""
    read(lastId(body))
    sequences(Buffer.from(body, "latin1"))
  }, onLost)
  const read = (after: string) => socket.write(command("XREAD", "BLOCK", "0", "STREAMS", path, after))
  read("0-0")
  return { close }
}

/** Returns the end of `lines` lines; undefined while they are incomplete. */
const endOfLines = (text: string, lines: number): number | undefined => {
  if (text.startsWith("-")) throw new Error(text)
  let at = 0
  for (let i = 0; i < lines; i++) {
    at = text.indexOf("\r\n", at) + 2
    if (at < 2) return undefined
  }
  return at
}

/** Reads a stream in pages of a thousand entries. Returns the number of entries. */
export const redisReadAll = async (port: number, stream: string): Promise<number> => {
  let page = ""
  const { close, post } = await connectPoster(port, (text) => {
    const entries = /^\*(\d+)\r\n/.exec(text)
    const end = entries === null ? undefined : endOfLines(text, 1 + 8 * Number(entries[1]))
    if (end !== undefined) page = text.slice(0, end)
    return end
  })
  let read = 0
  for (let from = "-";;) {
    await post(Buffer.from(command("XRANGE", stream, from, "+", "COUNT", "1000")))
    const entries = Number(/^\*(\d+)/.exec(page)![1])
    if (entries === 0) break
    read += entries
    from = `(${lastId(page)}`
  }
  close()
  return read
}

export const redisLastTen = (stream: string) => ({
  requests: () => [Buffer.from(command("XREVRANGE", stream, "+", "-", "COUNT", "10"))],
  endOfAnswer: (text: string) => endOfLines(text, 1 + 8 * 10)
})

/** The answer to an added entry is its id, in two lines. */
export const endOfAdds = (count: number): EndOfAnswer => (text) => endOfLines(text, 2 * count)

/** The id stands before the entry's one field. */
const lastId = (entries: string): string => {
  const last = entries.lastIndexOf("\r\n*2\r\n$1\r\nd\r\n")
  return entries.slice(entries.lastIndexOf("\r\n", last - 1) + 2, last)
}
