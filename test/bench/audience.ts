/**
 * Followers of one stream or of many, and publishers: at a fixed rate, by the clock from the start, or flat out with a
 * few events on their way. The measurement counts deliveries, and the ledger checks each of them.
 */
import { makeStream } from "./contestants.ts"
import { followByPolls, followEvents, type Following, sequenceBase, type SequenceFollower } from "./follower.ts"
import { Ledger, Order } from "./ledger.ts"
import { connectPoster, type EndOfAnswer, type Poster } from "./load.ts"
import { endOfMessages, followNats, makeNatsStreams, natsHello, natsName, natsPublish, takeInboxes } from "./nats.ts"
import { endOfAdds, followRedis, redisAdd, redisName } from "./redis.ts"
import type { Done, Side } from "./rounds.ts"
import type { ServerProcess } from "./servers.ts"

/** The way to follow and publish on one kind of server. */
export interface Door {
  readonly name: string
  readonly follow: (following: Following) => Promise<SequenceFollower>
  /** The path that a follower requests. */
  readonly path: (stream: string) => string
  /** The whole request that appends an event's data. */
  readonly append: (stream: string, data: string, port: number) => string
  readonly make?: (server: ServerProcess, stream: string) => Promise<unknown>
  readonly publishers?: number
  readonly hello?: string
  readonly endOfAnswer?: EndOfAnswer
}

export interface Audience {
  readonly ledger: Ledger
  /** A round of `millis` milliseconds, with a fixed number of events a second, or with as many as get through. */
  readonly side: (millis: number, eventsPerSecond?: number) => Side
  /** Returns the milliseconds of the appends since the last call. */
  readonly takeAnswers: () => Float64Array
  readonly leave: () => void
}

/**
 * The number of events on their way when publishing flat out: enough that the server never waits for the publishers.
 */
const flatOut = 8

/** More than the number of appends that wait for the disk at any of the rates. */
const publishers = 16

/** The number of connections that are opened at once. */
const together = 50

export const openAudience = async (
  server: ServerProcess,
  door: Door,
  streams: ReadonlyArray<string>,
  followers: number
): Promise<Audience> => {
  const { port } = server
  if (door.make !== undefined) { for (const stream of streams) await door.make(server, stream) }
  const ledger = new Ledger()
  const orders = streams.map(() => new Order())
  const open: Array<SequenceFollower> = []
  const join = async (i: number) => {
    const at = i % streams.length
    let position = 0
    open.push(
      await door.follow({
        port,
        path: door.path(streams[at]!),
        onSequence: (sequence) => ledger.deliver(orders[at]!, position++, sequence),
        onLost: ({ message }) => ledger.fail(`A follower was cut off: ${message}`)
      })
    )
  }
  for (let i = 0; i < followers; i += together) {
    await Promise.all(Array.from({ length: Math.min(together, followers - i) }, (_, j) => join(i + j)))
  }
  const connectPublisher = () => connectPoster(port, door.endOfAnswer, door.hello)
  const free = await Promise.all(
    Array.from({ length: door.publishers ?? publishers }, connectPublisher)
  )
  const posters = [...free]
  const requests = streams.map((stream) => requestTo(port, door, stream))

  let answers: Array<number> = []
  const waiting: Array<(poster: Poster) => void> = []
  const poster = (): Promise<Poster> =>
    free.length > 0 ? Promise.resolve(free.shift()!) : new Promise((resolve) => waiting.push(resolve))

  /** Sends the next event. Resolves when the event is answered. */
  const publish = async (publisher: Poster): Promise<void> => {
    // Some servers close a connection that was idle during another side's round.
    const poster = publisher.lost() ? await connectPublisher() : publisher
    if (poster !== publisher) posters.push(poster)
    const sequence = ledger.send(followers / streams.length)
    const from = performance.now()
    await poster.post(requests[sequence % streams.length]!(sequence))
    answers.push(performance.now() - from)
    const next = waiting.shift()
    if (next === undefined) free.push(poster)
    else next(poster)
  }

  const round = async (millis: number, eventsPerSecond: number | undefined): Promise<Done> => {
    const before = ledger.delivered
    const from = performance.now()
    const sent: Array<Promise<void>> = []
    const send = async () => {
      const one = await poster()
      sent.push(publish(one).catch(({ message }: Error) => ledger.fail(message)))
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
    await Promise.all(sent)
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
    takeAnswers: () => {
      const taken = Float64Array.from(answers)
      answers = []
      return taken
    },
    leave: () => [...open, ...posters].forEach(({ close }: SequenceFollower | Poster) => close())
  }
}

/**
 * Returns a function that makes the request of an event by its number: all requests are the same bytes but for the
 * number.
 */
const requestTo = (port: number, door: Door, stream: string) => {
  const template = Buffer.from(door.append(stream, data, port))
  const at = template.indexOf(String(sequenceBase))
  return (sequence: number): Buffer => {
    const request = Buffer.from(template)
    request.write(String(sequenceBase + sequence), at, "latin1")
    return request
  }
}

/** A small event of 100 bytes, as a chat or a build log has them. */
const data = JSON.stringify({
  seq: sequenceBase,
  type: "message",
  text: "The tests are green, the build took 12.3 seconds."
})

const httpAppend = (port: number, path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n` +
  `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

export const nativeDoor: Door = {
  name: "ours, fsync",
  follow: followEvents,
  path: (stream) => `/streams/${stream}?offset=-1`,
  append: (stream, data, port) => httpAppend(port, `/streams/${stream}`, `{"data":${data}}`),
  make: makeStream
}

/** The protocol of our server or of the reference server. */
export const protocolDoor: Door = {
  name: "ours, fsync, protocol",
  follow: followEvents,
  path: (stream) => `/v1/stream/${stream}?offset=-1&live=sse`,
  append: (stream, data, port) => httpAppend(port, `/v1/stream/${stream}`, data),
  make: makeStream
}

export const pollsDoor: Door = {
  ...protocolDoor,
  name: "ours, fsync, long-poll",
  follow: followByPolls,
  path: (stream) => `/v1/stream/${stream}?live=long-poll`
}

/** Sends as many bytes as our server, which also sends an event's offset, stream and time. */
export const bareDoor: Door = {
  name: "bare",
  follow: followEvents,
  path: (stream) => `/follow/${stream}`,
  append: (stream, data, port) =>
    httpAppend(
      port,
      `/publish/${stream}`,
      `{"offset":"0000000000000000","eventStreamId":"fan-out","data":${data},"createdAt":"2026-01-08T00:00:00.000Z"}`
    )
}

export const redisDoor: Door = {
  name: redisName,
  follow: followRedis,
  path: (stream) => stream,
  append: (stream, data) => redisAdd(stream, data),
  endOfAnswer: endOfAdds(1)
}

const natsInbox = takeInboxes(1)

/** One publisher, since NATS sends acknowledgements to every subscriber of the subject that they go to. */
export const natsDoor: Door = {
  name: `${natsName}, plain subscriptions`,
  follow: followNats,
  path: (stream) => stream,
  append: (stream, data) => natsPublish(stream, data, natsInbox),
  make: ({ port }, stream) => makeNatsStreams(port, [stream]),
  publishers: 1,
  hello: natsHello(natsInbox),
  endOfAnswer: endOfMessages(1)
}
