/**
 * NATS JetStream over plain sockets: only the part of its protocol for publishing with an acknowledgement and for
 * following. The server flushes every two minutes by default, so an acknowledged message is only in the kernel's
 * memory.
 */
import { type Contestant, message } from "./contestants.ts"
import { type Following, sequencesIn } from "./follower.ts"
import { connect, type EndOfAnswer, openRequests } from "./load.ts"
import type { ServerProcess } from "./servers.ts"

export const natsName = "NATS JetStream, not flushed"

export const nats = (server: ServerProcess): Contestant => ({
  name: natsName,
  open: async (shape) => {
    const names = Array.from({ length: shape.streams }, (_, i) => `append-${i}`)
    await makeNatsStreams(server.port, names)
    const data = message(shape.bytes)
    const first = takeInboxes(shape.connections)
    const load = await openRequests({
      port: server.port,
      requests: (connection) =>
        names.map((name) => Buffer.from(natsPublish(name, data, first + connection).repeat(shape.batch))),
      connections: shape.connections,
      operations: shape.batch,
      hello: (connection) => natsHello(first + connection),
      endOfAnswer: endOfMessages(shape.batch)
    })
    const before = async () => {
      for (const name of names) await natsRequest(server.port, `$JS.API.STREAM.PURGE.${name}`, "")
    }
    return { side: { name: natsName, server, before, round: () => load.run(shape) }, close: load.close }
  }
})

/** Each connection has an inbox of its own for the acknowledgements of its messages. */
export const natsHello = (inbox: number): string => `CONNECT {"verbose":false}\r\nSUB acks.${inbox} 1\r\n`

export const natsPublish = (stream: string, data: string, inbox: number): string =>
  `PUB ${stream} acks.${inbox} ${Buffer.byteLength(data)}\r\n${data}\r\n`

/** Reserves `count` unused inboxes, and returns the first. */
export const takeInboxes = (count: number): number => {
  inboxes += count
  return inboxes - count
}

let inboxes = 0

/** Creates a stream for each name, which is its subject too. */
export const makeNatsStreams = async (port: number, names: ReadonlyArray<string>): Promise<void> => {
  for (const name of names) {
    await natsRequest(
      port,
      `$JS.API.STREAM.CREATE.${name}`,
      JSON.stringify({ name, subjects: [name], storage: "file" })
    )
  }
}

/** Follows by a plain subscription to the stream's subject; JetStream is just another subscriber to it. */
export const followNats = async ({ onLost, onSequence, path, port }: Following) => {
  const sequences = sequencesIn(onSequence)
  let begun: () => void
  const started = new Promise<void>((resolve) => begun = resolve)
  const { close, socket } = await connect(port, (chunk) => {
    if (chunk.includes("PONG\r\n")) begun()
    if (chunk.includes("-ERR")) onLost(new Error(chunk.toString("latin1")))
    sequences(chunk)
  }, onLost)
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${path} 1\r\nPING\r\n`)
  await started
  return { close }
}

const natsRequest = async (port: number, subject: string, body: string): Promise<void> => {
  const inbox = takeInboxes(1)
  const load = await openRequests({
    port,
    requests: () => [Buffer.from(natsPublish(subject, body, inbox))],
    connections: 1,
    hello: () => natsHello(inbox),
    endOfAnswer: endOfMessages(1)
  })
  await load.run({ requests: 1 })
  load.close()
}

/** Returns the end of `count` messages, and of the server's other lines between them; a refusal is an error. */
export const endOfMessages = (count: number): EndOfAnswer => (text) => {
  let end = 0
  for (let i = 0; i < count; i++) {
    const at = text.indexOf("MSG ", end)
    const line = text.indexOf("\r\n", at)
    if (at < 0 || line < 0) return undefined
    end = line + 2 + Number(text.slice(text.lastIndexOf(" ", line), line)) + 2
    if (text.length < end) return undefined
    if (text.slice(line, end).includes(`"error"`)) throw new Error(text)
  }
  return end
}
