/**
 * Fan-out: the cost for the server of sending an event to one follower, and the time until the follower has it. The
 * server flushes each event to the disk before it sends it. Every delivery is checked: a loss, a duplicate or another
 * order ends the run with an error.
 */
import { fileLimit } from "../../src/http-node/file-limit.ts"
import {
  type Audience,
  bareDoor,
  type Door,
  nativeDoor,
  natsDoor,
  openAudience,
  pollsDoor,
  protocolDoor,
  redisDoor
} from "./audience.ts"
import { figure, ratios } from "./figures.ts"
import { atLeast, atMost, type Row, row } from "./report.ts"
import { type Measured, takeTurns } from "./rounds.ts"
import {
  type ServerProcess,
  type Servers,
  startBare,
  startNats,
  startOurs,
  startRedis,
  startReference,
  withServers
} from "./servers.ts"
import type { Options, Workload } from "./workload.ts"

const goalMillis = 1_500
const goalRounds = 5
const otherMillis = 700
const otherRounds = 3

/** Both servers have followers at once, and some other files are open. */
const crowd = Math.min(5_000, Math.floor(((fileLimit() ?? 1_024) - 1_000) / 2))

export const fanOut: Workload = {
  name: "fan-out",
  about:
    "Followers of a stream with fsync, from the base point (1,000 followers by native Server-Sent Events, 100 events of " +
    "100 bytes a second), with one axis varied at a time. An operation is a delivery; its time is from the sending of " +
    "the append to the arrival of the event. Flat out, 8 events are on their way. The bare server writes one shared " +
    `Buffer to each follower.${
      crowd < 5_000 ? ` The limit of open files allows for ${crowd} followers and not for 5,000.` : ""
    }`,
  run: ({ against }: Options) =>
    withServers(async (servers) => {
      const bare = await servers.add(startBare())
      const ours = await servers.add(startOurs(servers.directory(), ["--durability=fsync"]))
      const others = against ? await opponents(servers) : []
      return [
        ...await measureFew(bare, ours),
        ...await thousand(bare, ours, others),
        ...await thousandStreams(bare, ours),
        ...await measureCrowd(await servers.add(startBare()), await servers.add(startOurs(servers.directory(), [])))
      ]
    })
}

const measureFew = async (bare: ServerProcess, ours: ServerProcess): Promise<ReadonlyArray<Row>> => [
  ...await withAudiences([[bare, bareDoor], [ours, nativeDoor]], "one", 1, async ([bare, ours]) => {
    const measured = await takeTurns([bare!.side(otherMillis), ours!.side(otherMillis)], { rounds: otherRounds })
    return rowsOf("fan-out, 1 follower, flat out", measured)
  }),
  ...await withAudiences([[bare, bareDoor], [ours, nativeDoor]], "hundred", 100, async ([bare, ours]) => {
    const measured = await takeTurns([bare!.side(otherMillis, 100), ours!.side(otherMillis, 100)], {
      rounds: otherRounds
    })
    return rowsOf("fan-out, 100 followers, 100/s", measured)
  })
]

const thousand = (
  bare: ServerProcess,
  ours: ServerProcess,
  others: ReadonlyArray<Opponent>
): Promise<ReadonlyArray<Row>> =>
  withAudiences([[bare, bareDoor], [ours, nativeDoor]], "thousand", 1_000, async ([bare, native]) => {
    const sides = [bare!.side(goalMillis, 100), native!.side(goalMillis, 100)]
    const [bareRow, nativeRow] = await takeTurns(sides, { rounds: goalRounds })
    const flat = await takeTurns([bare!.side(otherMillis), native!.side(otherMillis)], { rounds: goalRounds })
    const what = "fan-out, 1,000 followers, 100/s"
    const rows = [
      row("fan-out", what, bareRow!),
      row("fan-out", what, nativeRow!, {
        baseline: bareRow!,
        goals: [
          atMost(
            "at most 1.5 times bare Node's CPU",
            ratios(nativeRow!.cpuMicros, bareRow!.cpuMicros).median,
            1.5
          ),
          atMost("p99 under 50 ms", figure(nativeRow!.p99).median, 50)
        ]
      }),
      row("fan-out", "fan-out, 1,000 followers, flat out", flat[0]!),
      row("fan-out", "fan-out, 1,000 followers, flat out", flat[1]!, {
        baseline: flat[0]!,
        goals: [
          atLeast(
            "at least 0.65 of bare Node's deliveries a second",
            ratios(flat[1]!.perSecond, flat[0]!.perSecond).median,
            0.65
          )
        ]
      })
    ]
    // The protocol's answers end after a minute, so its followers connect for their own rounds only.
    const beside: Array<Row> = []
    for (const { door, rate, server } of others) {
      // One server after the other: a thousand followers of each would exceed the limit of open files.
      const rounds = await withAudiences([[server, door]], "thousand", 1_000, async ([other]) => {
        const sides = [bare!, native!, other!].map((each) => each.side(otherMillis, rate))
        return takeTurns(sides, { rounds: otherRounds })
      })
      beside.push(
        row("fan-out", `fan-out, 1,000 followers, ${rate}/s`, rounds[2]!, { baseline: rounds[0]! }),
        row("fan-out", `fan-out, 1,000 followers, ${rate}/s, beside ${door.name}`, rounds[1]!, {
          baseline: rounds[0]!,
          versus: rounds.slice(2)
        })
      )
    }
    return [
      ...rows,
      ...beside,
      ...await withAudiences([[native!.server, protocolDoor]], "thousand-protocol", 1_000, async ([protocol]) => {
        const sides = [bare!.side(otherMillis, 100), protocol!.side(otherMillis, 100)]
        return rowsOf(what, await takeTurns(sides, { rounds: otherRounds })).slice(1)
      }),
      ...await withAudiences([[native!.server, pollsDoor]], "thousand-polls", 1_000, async ([polls]) => {
        const sides = [bare!, native!, polls!].map((each) => each.side(otherMillis, 10))
        return rowsOf("fan-out, 1,000 followers, 10/s", await takeTurns(sides, { rounds: otherRounds }))
      })
    ]
  })

const thousandStreams = (bare: ServerProcess, ours: ServerProcess): Promise<ReadonlyArray<Row>> =>
  withAudiences(
    [[bare, bareDoor], [ours, nativeDoor]],
    "each",
    1_000,
    async ([bare, ours]) => {
      const sides = [bare!.side(otherMillis, 1_000), ours!.side(otherMillis, 1_000)]
      const measured = await takeTurns(sides, { rounds: otherRounds })
      return rowsOf("fan-out, 1,000 followers of 1,000 streams, 1,000/s", measured)
    },
    1_000
  )

/** Uses fresh servers after only a warm-up, since the measurement is their growth. */
const measureCrowd = async (bare: ServerProcess, ours: ServerProcess): Promise<ReadonlyArray<Row>> => {
  const servers = [[bare, bareDoor], [ours, nativeDoor]] as const
  await withAudiences(
    servers,
    "warm-up",
    100,
    (audiences) => takeTurns(audiences.map((each) => each.side(1_000, 100)), { rounds: 1 })
  )
  const before = [bare.memory(), ours.memory()] as const
  return withAudiences(servers, "crowd", crowd, async (audiences) => {
    const sides = audiences.map((each) => each.side(goalMillis, 10))
    const [bareRow, oursRow] = await takeTurns(sides, { rounds: otherRounds })
    const perConnection = [(bare.memory() - before[0]) / crowd, (ours.memory() - before[1]) / crowd] as const
    const what = `fan-out, ${crowd.toLocaleString("en")} followers, 10/s`
    return [
      row("fan-out", what, bareRow!, { memory: { bytes: perConnection[0], of: "a connection" } }),
      row("fan-out", what, oursRow!, {
        baseline: bareRow!,
        memory: { bytes: perConnection[1], of: "a connection" },
        goals: [
          atMost("p99 under 100 ms", figure(oursRow!.p99).median, 100),
          atMost("at most 20 kB of memory a connection", perConnection[1] / 1_000, 20)
        ]
      })
    ]
  })
}

interface Opponent {
  readonly server: ServerProcess
  readonly door: Door
  readonly rate: number
}

const opponents = async (servers: Servers): Promise<ReadonlyArray<Opponent>> => {
  const redis = await startRedis(servers.directory())
  const nats = await startNats(servers.directory())
  const all: ReadonlyArray<Opponent> = [
    { server: await startReference(), door: { ...protocolDoor, name: "reference, memory" }, rate: 100 },
    {
      server: await startReference(servers.directory()),
      door: { ...protocolDoor, name: "reference, files" },
      // The reference server reads its file for every follower, some 0.2 ms each: at 100 a second it falls ever further
      // behind.
      rate: 10
    },
    ...(redis === undefined ? [] : [{ server: redis, door: redisDoor, rate: 100 }]),
    ...(nats === undefined ? [] : [{ server: nats, door: natsDoor, rate: 100 }])
  ]
  for (const { server } of all) await servers.add(Promise.resolve(server))
  return all
}

type Present = Audience & { readonly server: ServerProcess }

const withAudiences = async <A>(
  doors: ReadonlyArray<readonly [ServerProcess, Door]>,
  name: string,
  followers: number,
  use: (audiences: ReadonlyArray<Present>) => Promise<A>,
  streamCount = 1
): Promise<A> => {
  const streams = Array.from({ length: streamCount }, (_, i) => `${name}-${i}`)
  const audiences: Array<Present> = []
  try {
    for (const [server, door] of doors) {
      audiences.push({ ...await openAudience(server, door, streams, followers), server })
    }
    return await use(audiences)
  } finally {
    for (const { leave } of audiences) leave()
  }
}

/** Returns a row for each side, against the first. */
const rowsOf = (what: string, measured: ReadonlyArray<Measured>): ReadonlyArray<Row> =>
  measured.map((each) => row("fan-out", what, each, { baseline: measured[0]! }))
