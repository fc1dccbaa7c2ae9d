/**
 * Appends over HTTP: the cost of one for the server, and its latency. All measurements with the same load run in the
 * same rounds, so that memory, files, routes, one stream and a hundred can be compared with each other and with the
 * bare server.
 */
import { bare, type Contestant, native, protocol, type Shape } from "./contestants.ts"
import { figure, ratios } from "./figures.ts"
import { opponents } from "./opponents.ts"
import { atMost, type Goal, type Row, row } from "./report.ts"
import { type Measured, type Side, takeTurns } from "./rounds.ts"
import { type FileProcess, startBare, startBareFiles, startEmbedded, startOurs, withServers } from "./servers.ts"
import type { Options, Workload } from "./workload.ts"

/** Long enough for 0.5 s of server CPU, which is counted in ticks of 10 ms. */
const goalMillis = 800
const goalRounds = 5

/** A round of batches is a few thousand requests: V8 is still compiling in the second one. */
const batchWarmUps = 4

/** For measurements without a goal. */
const otherMillis = 500
const otherRounds = 3

const base: Shape = { connections: 64, streams: 1, bytes: 100, batch: 1, millis: goalMillis }

export const append: Workload = {
  name: "append",
  about:
    `Appends from the base point (64 connections, 1 stream, messages of 100 bytes, one a request, fsync, native route), ` +
    "with one axis varied at a time. An operation is a message. The bench creates each stream again before every " +
    "round. The bare server parses the same body and answers with it, or with the count of a batch.",
  run: ({ against }: Options) =>
    withServers(async (servers) => {
      const bareServer = await servers.add(startBare())
      const memory = await servers.add(startOurs(servers.directory(), ["--storage=memory"]))
      const os = await servers.add(startOurs(servers.directory(), ["--durability=os"]))
      const fsync = await servers.add(startOurs(servers.directory(), ["--durability=fsync"]))
      const embedded = await servers.add(startEmbedded(servers.directory(), []))
      const hooked = await servers.add(startEmbedded(servers.directory(), ["--hook"]))
      const files = startBareFiles(servers.directory())
      await servers.add(Promise.resolve(files))
      const baseline = bare(bareServer)
      const ours = {
        memory: native("ours, memory", memory),
        os: native("ours, os", os),
        fsync: native("ours, fsync", fsync),
        protocol: protocol("ours, fsync, protocol", fsync)
      }
      const others = against ? await opponents(servers) : []
      return [
        ...await atBase(baseline, ours, others),
        ...await atOne(baseline, [ours.memory, ours.os, ours.fsync], others, files),
        ...await withHook(baseline, native("ours, embedded", embedded), native("ours, embedded, with a hook", hooked)),
        ...await measureElsewhere("16 connections", { ...base, connections: 16 }, baseline, ours.fsync),
        ...await measureElsewhere("256 connections", { ...base, connections: 256 }, baseline, ours.fsync),
        ...await measureElsewhere("1 KiB", { ...base, bytes: 1024 }, baseline, ours.fsync),
        ...await measureElsewhere("64 KiB", { ...base, bytes: 64 * 1024 }, baseline, ours.fsync),
        ...await batches(baseline, ours, others)
      ]
    })
}

interface Ours {
  readonly memory: Contestant
  readonly os: Contestant
  readonly fsync: Contestant
  readonly protocol: Contestant
}

const atBase = async (baseline: Contestant, ours: Ours, others: ReadonlyArray<Contestant>) => {
  const many = { ...base, streams: 100 }
  const [bare, memory, os, fsync, protocol, hundred, ...rest] = await measure([
    [baseline, base],
    [ours.memory, base],
    [ours.os, base],
    [ours.fsync, base],
    [ours.protocol, base],
    [ours.fsync, many],
    ...others.flatMap((other) => [[other, base], [other, many]] as const)
  ], goalRounds)
  const what = "append, 64 connections"
  const first = rest.filter((_, i) => i % 2 === 0)
  const second = rest.filter((_, i) => i % 2 === 1)
  return [
    row("append", what, bare!),
    rowOf(what, memory!, bare!, first, [perBare(memory!, bare!, 1.5)]),
    rowOf(what, os!, bare!, first),
    rowOf(what, fsync!, bare!, first, [perBare(fsync!, bare!, 1.8), ...cheaper(fsync!, first)]),
    rowOf(what, protocol!, bare!, first),
    rowOf(`${what}, 100 streams`, hundred!, bare!, second, [
      perBare(hundred!, bare!, 1.8),
      atMost(
        "at most 1.3 times the one-stream CPU",
        ratios(hundred!.cpuMicros, fsync!.cpuMicros).median,
        1.3
      ),
      ...cheaper(hundred!, second)
    ]),
    ...first.map((other) => rowOf(what, other, bare!)),
    ...second.map((other) => rowOf(`${what}, 100 streams`, other, bare!))
  ]
}

const atOne = async (
  baseline: Contestant,
  contestants: ReadonlyArray<Contestant>,
  others: ReadonlyArray<Contestant>,
  files: FileProcess
) => {
  const shape = { ...base, connections: 1, millis: otherMillis }
  const [bare, written, flushed, pooled, ...measured] = await measure(
    [baseline, ...contestants, ...others].map((one) => [one, shape] as const),
    goalRounds,
    [
      writingSide("bare file", files, { flushed: false, pooled: false, millis: 200 }),
      writingSide("bare file, flushed", files, { flushed: true, pooled: false, millis: otherMillis }),
      writingSide("bare file, flushed, thread pool", files, { flushed: true, pooled: true, millis: otherMillis })
    ]
  )
  const least = flushed!.p50.map((millis, i) => millis + bare!.p50[i]!)
  const rest = measured.slice(contestants.length)
  const what = "append, 1 connection"
  return [
    row("append", what, bare!),
    ...[written!, flushed!, pooled!].map((each) => row("append", "a write of 100 bytes", each)),
    ...measured.map((each) =>
      rowOf(
        what,
        each,
        bare!,
        each.name.startsWith("ours") ? rest : [],
        each.name !== "ours, fsync" ? [] : [
          atMost("p50 at most 2.5 times a bare flushed write and a bare answer", ratios(each.p50, least).median, 2.5)
        ]
      )
    )
  ]
}

/** A before hook that checks every event and does not suspend costs its own work, and adds no fiber to the route. */
const withHook = async (baseline: Contestant, without: Contestant, hooked: Contestant) => {
  const [bare, plain, asked] = await measure([[baseline, base], [without, base], [hooked, base]], goalRounds)
  const what = "append, 64 connections, embedded"
  return [
    row("append", what, bare!),
    rowOf(what, plain!, bare!),
    rowOf(what, asked!, bare!, [plain!], [
      atMost("at most 1.1 times the CPU without the hook", ratios(asked!.cpuMicros, plain!.cpuMicros).median, 1.1)
    ])
  ]
}

const measureElsewhere = async (where: string, shape: Shape, baseline: Contestant, ours: Contestant) => {
  const short = { ...shape, millis: otherMillis }
  const [bare, fsync] = await measure([[baseline, short], [ours, short]], otherRounds)
  return [row("append", `append, ${where}`, bare!), rowOf(`append, ${where}`, fsync!, bare!)]
}

const batches = async (baseline: Contestant, ours: Ours, others: ReadonlyArray<Contestant>) => {
  // Eight connections keep 800 messages on their way, which is more than one commit takes.
  const shape = { ...base, batch: 100, connections: 8 }
  const [bare, memory, os, fsync, protocol, ...rest] = await measure(
    [baseline, ours.memory, ours.os, ours.fsync, ours.protocol, ...others].map((one) => [one, shape]),
    goalRounds,
    [],
    batchWarmUps
  )
  const what = "append 100 at once, 8 connections"
  return [
    row("append", what, bare!),
    rowOf(what, memory!, bare!, rest, [perBare(memory!, bare!, 1.5)]),
    rowOf(what, os!, bare!, rest),
    rowOf(what, fsync!, bare!, rest, [perBare(fsync!, bare!, 2.5)]),
    rowOf(what, protocol!, bare!, rest),
    ...rest.map((other) => rowOf(what, other, bare!))
  ]
}

const measure = async (
  entries: ReadonlyArray<readonly [Contestant, Shape]>,
  rounds: number,
  between: ReadonlyArray<Side> = [],
  warmUps = 1
): Promise<ReadonlyArray<Measured>> => {
  const opened = await Promise.all(entries.map(([contestant, shape]) => contestant.open(shape)))
  const [first, ...rest] = opened.map(({ side }) => side)
  const measured = await takeTurns([first!, ...between, ...rest], { rounds, warmUps })
  for (const { close } of opened) close()
  return measured
}

const writingSide = (name: string, files: FileProcess, how: Parameters<FileProcess["write"]>[0]): Side => ({
  name,
  server: files,
  round: async () => {
    const latencies = await files.write(how)
    return { operations: latencies.length, latencies }
  }
})

const rowOf = (
  what: string,
  measured: Measured,
  baseline: Measured,
  versus: ReadonlyArray<Measured> = [],
  goals: ReadonlyArray<Goal> = []
): Row => row("append", what, measured, { baseline, versus, goals })

const perBare = (measured: Measured, bare: Measured, limit: number): Goal =>
  atMost(
    `at most ${limit} times bare Node's CPU`,
    ratios(measured.cpuMicros, bare.cpuMicros).median,
    limit
  )

/** The goals against the reference server, if it takes part. */
const cheaper = (ours: Measured, others: ReadonlyArray<Measured>): ReadonlyArray<Goal> =>
  others.flatMap((other) => {
    const share = figure(other.cpuMicros.map((micros, i) => micros / ours.cpuMicros[i]!)).median
    if (other.name === "reference, memory") {
      return [{ goal: "cheaper than the reference in memory", value: share, met: share > 1 }]
    }
    return other.name === "reference, files"
      ? [{ goal: "at least 8 times cheaper than the reference's files", value: share, met: share >= 8 }]
      : []
  })
