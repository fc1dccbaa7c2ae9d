/**
 * Catch-up against other servers: a million messages by the protocol from our server and from the reference server, in
 * memory and on files, and from a Redis stream in pages of a thousand. NATS is left out: its consumers acknowledge what
 * they have received, which is another kind of reading.
 */
import * as Path from "node:path"
import { makeStream, message, streamPath } from "./contestants.ts"
import { eventBytes } from "./filling.ts"
import { type OpenLoad, openLoad, openRequests, post } from "./load.ts"
import { read, readChecked } from "./reading.ts"
import { endOfAdds, redisAdd, redisLastTen, redisReadAll } from "./redis.ts"
import { type Row, row } from "./report.ts"
import { type Side, takeTurns } from "./rounds.ts"
import { type ServerProcess, startBare, startOurs, startRedis, startReference, withServers } from "./servers.ts"

const million = 1_000_000
const perRequest = 500
const rounds = 3
const stream = "million"

export const catchUpAgainst = (): Promise<ReadonlyArray<Row>> =>
  withServers(async (servers) => {
    const bare = await servers.add(startBare())
    const ours = await servers.add(startOurs(servers.directory(), ["--durability=os"]))
    const memory = await servers.add(startOurs(servers.directory(), ["--storage=memory"]))
    const protocols: ReadonlyArray<readonly [string, ServerProcess]> = [
      ["ours, memory", memory],
      ["ours, files", ours],
      ["reference, memory", await servers.add(startReference())],
      ["reference, files", await servers.add(startReference(servers.directory()))]
    ]
    for (const [_, server] of protocols) await fillByProtocol(server, stream, million)
    const redis = await startRedis(servers.directory())
    if (redis !== undefined) await fillRedis(await servers.add(Promise.resolve(redis)))

    const copy = Path.join(servers.directory(), "copy")
    const how = { mark: "\"seq\":", numbered: false, endless: false }
    const bytes = await readChecked(ours.port, `${streamPath(stream)}?offset=-1`, million, how, copy)
    const sides = [
      sideOf("bare", bare, async () => (await read(bare.port, `/file${copy}`, bytes)).bytes === bytes ? million : 0),
      ...protocols.map(([name, server]) => sideOf(name, server, () => readByProtocol(server.port))),
      ...(redis === undefined ? [] : [sideOf("Redis", redis, () => redisReadAll(redis.port, stream))])
    ]
    const measured = await takeTurns(sides, { rounds })
    const what = "catch-up of a million messages beside others, times of the whole"
    const rows = measured.map((each) =>
      row("catch-up", what, each, {
        baseline: measured[0]!,
        versus: each.name.startsWith("ours") ? measured.slice(1 + 2) : []
      })
    )
    return redis === undefined ? rows : [...rows, ...await lastTen(ours, redis)]
  })

const sideOf = (name: string, server: ServerProcess, readAll: () => Promise<number>): Side => ({
  name,
  server,
  round: async () => {
    const from = performance.now()
    const messages = await readAll()
    if (messages !== million) throw new Error(`${messages} messages were read from ${name}, and not ${million}.`)
    return { operations: messages, latencies: Float64Array.of(performance.now() - from) }
  }
})

/** Creates a stream and fills it, on our server or the reference server. */
export const fillByProtocol = async (server: ServerProcess, stream: string, messages: number): Promise<void> => {
  await makeStream(server, stream)
  const body = `[${Array.from({ length: perRequest }, () => message(eventBytes)).join(",")}]`
  await post({ port: server.port, paths: [streamPath(stream)], body, connections: 4 }, messages / perRequest)
}

const fillRedis = async ({ port }: ServerProcess): Promise<void> => {
  const load = await openRequests({
    port,
    requests: () => [Buffer.from(redisAdd(stream, message(eventBytes)).repeat(perRequest))],
    connections: 4,
    endOfAnswer: endOfAdds(perRequest)
  })
  await load.run({ requests: million / perRequest })
  load.close()
}

/** Reads as many answers as needed, and returns the number of messages; every message has one sequence number. */
const readByProtocol = async (port: number): Promise<number> => {
  const mark = Buffer.from("\"seq\":")
  let messages = 0
  for (let offset = "-1";;) {
    let rest: Buffer = Buffer.alloc(0)
    const { headers } = await read(port, `${streamPath(stream)}?offset=${offset}`, Infinity, (chunk) => {
      const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let end = 0
      for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, end)) {
        end = at + mark.length
        messages++
      }
      rest = Buffer.from(text.subarray(Math.max(end, text.length - mark.length + 1)))
      return false
    })
    if (headers["stream-up-to-date"] === "true") return messages
    offset = String(headers["stream-next-offset"])
  }
}

const lastTen = async (ours: ServerProcess, redis: ServerProcess): Promise<ReadonlyArray<Row>> => {
  const loads: ReadonlyArray<readonly [string, ServerProcess, OpenLoad]> = [
    [
      "ours",
      ours,
      await openLoad({ port: ours.port, paths: [`/streams/${stream}/events?tail=10`], connections: 1 })
    ],
    ["Redis", redis, await openRequests({ port: redis.port, connections: 1, ...redisLastTen(stream) })]
  ]
  const measured = await takeTurns(
    loads.map(([name, server, load]) => ({ name, server, round: () => load.run({ millis: 500 }) })),
    { rounds }
  )
  for (const [_, __, { close }] of loads) close()
  const what = "last 10 of a million beside others"
  return [
    row("catch-up", what, measured[0]!, { baseline: measured[1]!, versus: measured.slice(1) }),
    row("catch-up", what, measured[1]!)
  ].map(({ ratio: _, ...rest }) => rest)
}
