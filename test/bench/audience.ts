/**
 * Followers of one stream or of many, and who publishes to them: at a fixed rate, by the clock from the start, or flat
 * out with a few events on their way. What is measured is deliveries; every one of them is checked by the ledger.
 */
import { followByPolls, type Follower, followEvents, sequenceBase } from "./follower.ts"
import { Ledger, Order } from "./ledger.ts"
import { connectPoster, type Poster } from "./load.ts"
import type { Done, Side } from "./rounds.ts"
import type { ServerProcess } from "./servers.ts"

/** How a kind of server is followed and published to. */
export interface Door {
  readonly name: string
  readonly follow: (stream: string) => string
  readonly publish: (stream: string) => string
  /** The body of an append, around an event's data. */
  readonly body: (data: string) => string
  readonly polls?: boolean
}

export interface Audience {
  readonly ledger: Ledger
  /** A round of so many milliseconds: so many events a second, or as many as get through. */
  readonly side: (millis: number, eventsPerSecond?: number) => Side
  readonly leave: () => void
}

/** As many events as are on their way when publishing flat out: enough that the server never waits for us. */
const flatOut = 8

/** More than the appends that wait for the disk at any of the rates. */
const publishers = 16

/** Connections that are made at once. */
const together = 50

export const openAudience = async (
  server: ServerProcess,
  door: Door,
  streams: ReadonlyArray<string>,
  followers: number
): Promise<Audience> => {
  const { port } = server
  const ledger = new Ledger()
  const orders = streams.map(() => new Order())
  const open: Array<Follower> = []
  const join = async (i: number) => {
    const at = i % streams.length
    let position = 0
    open.push(
      await (door.polls === true ? followByPolls : followEvents)({
        port,
        path: door.follow(streams[at]!),
        onSequence: (sequence) => ledger.deliver(orders[at]!, position++, sequence),
        onLost: ({ message }) => ledger.fail(`A follower was cut off: ${message}`)
      })
    )
  }
  for (let i = 0; i < followers; i += together) {
    await Promise.all(Array.from({ length: Math.min(together, followers - i) }, (_, j) => join(i + j)))
  }
  const free = await Promise.all(Array.from({ length: publishers }, () => connectPoster(port)))
  const posters = [...free]
  const requests = streams.map((stream) => requestTo(port, door, stream))

  const waiting: Array<(poster: Poster) => void> = []
  const poster = (): Promise<Poster> =>
    free.length > 0 ? Promise.resolve(free.shift()!) : new Promise((resolve) => waiting.push(resolve))

  /** Sends the next event; settled when it is answered. */
  const publish = async (poster: Poster): Promise<void> => {
    const sequence = ledger.send(followers / streams.length)
    await poster.post(requests[sequence % streams.length]!(sequence))
    const next = waiting.shift()
    if (next === undefined) free.push(poster)
    else next(poster)
  }

  const round = async (millis: number, eventsPerSecond: number | undefined): Promise<Done> => {
    const before = ledger.delivered
    const from = performance.now()
    const answers: Array<Promise<void>> = []
    const send = async () => {
      const one = await poster()
      answers.push(publish(one).catch(({ message }: Error) => ledger.fail(message)))
    }
    if (eventsPerSecond === undefined) {
      while (performance.now() < from + millis) {
        await ledger.fewerThan(flatOut)
        await send()
      }
    } else {
      for (let i = 0; i < eventsPerSecond * millis / 1_000; i++) {
        const wait = from + i / eventsPerSecond * 1_000 - performance.now()
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
        await send()
      }
    }
    await Promise.all(answers)
    await ledger.fewerThan(1)
    return {
      operations: ledger.delivered - before,
      latencies: ledger.take(),
      millis: performance.now() - from
    }
  }

  return {
    ledger,
    side: (millis, eventsPerSecond) => ({ name: door.name, server, round: () => round(millis, eventsPerSecond) }),
    leave: () => [...open, ...posters].forEach(({ close }: Follower | Poster) => close())
  }
}

/** Makes the request that publishes the event of a number: the same bytes but for the number. */
const requestTo = (port: number, door: Door, stream: string) => {
  const body = door.body(data)
  const template = Buffer.from(
    `POST ${door.publish(stream)} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
  const at = template.indexOf(String(sequenceBase))
  return (sequence: number): Buffer => {
    const request = Buffer.from(template)
    request.write(String(sequenceBase + sequence), at, "latin1")
    return request
  }
}

/** A small event, as a chat or a build log has them: 100 bytes. */
const data = JSON.stringify({
  seq: sequenceBase,
  type: "message",
  text: "The tests are green, the build took 12.3 seconds."
})

export const nativeDoor: Door = {
  name: "ours, fsync",
  follow: (stream) => `/streams/${stream}?offset=-1`,
  publish: (stream) => `/streams/${stream}`,
  body: (data) => `{"data":${data}}`
}

/** Ours or the reference server. */
export const protocolDoor: Door = {
  name: "ours, fsync, protocol",
  follow: (stream) => `/v1/stream/${stream}?offset=-1&live=sse`,
  publish: (stream) => `/v1/stream/${stream}`,
  body: (data) => data
}

export const pollsDoor: Door = {
  ...protocolDoor,
  name: "ours, fsync, long-poll",
  follow: (stream) => `/v1/stream/${stream}?live=long-poll`,
  polls: true
}

/** Sends as many bytes as ours, which says an event's offset, stream and time as well. */
export const bareDoor: Door = {
  name: "bare",
  follow: (stream) => `/follow/${stream}`,
  publish: (stream) => `/publish/${stream}`,
  body: (data) =>
    `{"offset":"0000000000000000","eventStreamId":"fan-out","data":${data},"createdAt":"2026-01-08T00:00:00.000Z"}`
}
