/**
 * The shape of the house and the rules that keep it: which file may import which, how long a file
 * may be, how it begins, and that nothing is left half done. A new file of the onion gets a floor in
 * `floors`, a new room beside the onion gets a line in `rooms`.
 */
import { posix } from "node:path"
import { type ESTree, parseSync, Visitor } from "rolldown/utils"

/** The files of `src/durable-streams`, floor by floor. A file imports from its own floor or below. */
const floors: ReadonlyArray<ReadonlyArray<string>> = [
  [
    "types",
    "errors",
    "limits",
    "event-data",
    "json-scan",
    "json-values",
    "version",
    "durations",
    "rfc3339",
    "steady-time",
    "visible-text",
    "place-errors"
  ],
  [
    "hooks",
    "storage",
    "sorted-names",
    "stream-signals",
    "wire",
    "api",
    "durable-stream",
    "event-block",
    "growing-block",
    "recent-events"
  ],
  [
    "stream",
    "stream-writer",
    "stream-standing",
    "stream-reads",
    "log-holder",
    "end-of-turn",
    "event-stream",
    "place",
    "stream-state",
    "stream-config",
    "append-batch",
    "judge-append",
    "fork-point",
    "expiry",
    "iso-time",
    "sleepers",
    "search-since"
  ],
  ["with-hooks"],
  ["stream-factory"],
  ["stream-manager", "awake-streams", "expiry-watch", "stream-limit", "followers"],
  [
    "http-routes",
    "request-parameters",
    "reading-start",
    "append-body",
    "append-events",
    "append-headers",
    "preconditions",
    "json-fault",
    "framing",
    "following",
    "docs-page",
    "client",
    "client-answers",
    "answer-bounds",
    "name-list",
    "follow"
  ],
  [
    "server",
    "run-server",
    "daemon",
    "lock",
    "settings",
    "limit-settings",
    "data-directory",
    "trusted-directory",
    "beside-port",
    "daemon-files",
    "inherited-files",
    "daemon-secret",
    "process-identity",
    "logging",
    "stdout",
    "argument-bytes",
    "verify-data",
    "checks",
    "doctor",
    "doctor-machine",
    "doctor-server",
    "doctor-proxy"
  ],
  ["cli"], // and everything in cli/
  ["main", "program", "index"]
]

/** The floors that meet the operating system; the command line between them only talks. */
const floorsWithNode: ReadonlyArray<number> = [7, 9]

/** These run in a browser, too: they import nothing but `effect` and one another. */
const browserSafe: ReadonlyArray<string> = [
  "types",
  "errors",
  "limits",
  "wire",
  "api",
  "client",
  "client-answers",
  "answer-bounds",
  "name-list",
  "follow"
]

/** The files of the onion in which it meets the rooms beside it. */
const meetingPlaces: ReadonlyArray<string> = ["server", "daemon", "program", "index"]

/** The rooms beside the onion: what each imports apart from `effect` and itself, and who imports it. */
const rooms: ReadonlyMap<string, Room> = new Map<string, Room>([
  ["storage-filesystem", {
    node: true,
    imports: ["types", "errors", "json-scan", "storage", "sorted-names", "event-block", "steady-time"],
    guests: [...meetingPlaces, "verify-data"]
  }],
  ["web", {
    node: false,
    imports: ["types", "errors"],
    guests: ["http-routes", "following", "append-events", "docs-page", ...meetingPlaces]
  }],
  ["protocol", {
    node: false,
    imports: [
      "types",
      "errors",
      "place-errors",
      "event-data",
      "event-block",
      "storage",
      "durable-stream",
      "with-hooks",
      "stream-manager",
      "http-routes",
      "followers",
      "request-parameters",
      "reading-start",
      "following",
      "append-body",
      "append-headers",
      "rfc3339",
      "preconditions",
      "src/web"
    ],
    guests: meetingPlaces
  }],
  ["subscriptions", {
    node: true,
    imports: [
      "types",
      "errors",
      "limits",
      "event-data",
      "event-block",
      "storage",
      "stream-manager",
      "src/web"
    ],
    guests: meetingPlaces
  }],
  ["web-node", {
    node: true,
    imports: ["types", "errors", "place-errors", "limits", "src/web"],
    guests: [...meetingPlaces, "doctor-machine"]
  }]
])

/** What a reader can still hold. A longer file wants to be two. */
export const linesMax = 350

interface Room {
  readonly node: boolean
  readonly imports: ReadonlyArray<string>
  readonly guests: ReadonlyArray<string>
}

export interface File {
  readonly path: string
  readonly text: string
}

/** A sentence for each way in which the files of `src` leave the shape of the house. */
export const complaints = (files: ReadonlyArray<File>): ReadonlyArray<string> => [
  ...files.flatMap((file) => [...manners(file), ...doors(file)].map((complaint) => `${file.path} ${complaint}`)),
  ...strangersInTheLibrary(files)
]

/** A sentence for each thing that was begun and not finished. */
export const leftovers = (file: File): ReadonlyArray<string> => {
  const found: Array<string> = []
  const lineOf = (index: number) => file.text.slice(0, index).split("\n").length
  for (const note of file.text.matchAll(/\b(?:TO[D]O|FIX[M]E)\b/g)) {
    found.push(`${file.path}:${lineOf(note.index)} says ${note[0]}: do it, or open an issue.`)
  }
  const off = (node: ESTree.Node) =>
    found.push(`${file.path}:${lineOf(node.start)} switches tests off: what is in the tree runs.`)
  new Visitor({
    MemberExpression: (node) => {
      if (node.property.type === "Identifier" && switches.includes(node.property.name) && isTest(node.object)) off(node)
    },
    CallExpression: (node) => {
      if (!isTest(node.callee)) return
      for (const options of node.arguments) {
        if (options.type === "ObjectExpression" && options.properties.some(isSwitch)) off(node)
      }
    }
  }).visit(parseSync(file.path, file.text).program)
  return found
}

const manners = ({ path, text }: File): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (!/^(?:#!.*\n)?\/\*\*/.test(text)) {
    found.push("does not begin with a module comment: say what it is for.")
  }
  if (path === "src/durable-streams/main.ts" && !text.startsWith("#!/usr/bin/env node\n")) {
    found.push("does not begin with #!/usr/bin/env node: the shipped program takes it from here.")
  }
  const lines = text.replace(/\n$/, "").split("\n").length
  if (lines > linesMax) found.push(`has ${lines} lines: one of more than ${linesMax} wants to be two.`)
  return found
}

const doors = (file: File): ReadonlyArray<string> => {
  const from = placeOf(file.path)
  if (from === undefined) return ["lies in no room: describe its room in test/house/floors.ts."]
  if (from.floor === -1) return ["has no floor: give it one in test/house/floors.ts."]
  const { errors } = parseSync(file.path, file.text)
  if (errors.length > 0) return errors.map((error) => `is not TypeScript: ${error.message}`)
  return importsOf(file).flatMap((target) => objection(from, target) ?? [])
}

interface Place {
  readonly room: string
  /** In the onion: the file, or `cli` for a command. */
  readonly name: string
  /** In the onion: the floor, or -1 where none was given. */
  readonly floor?: number
}

const placeOf = (path: string): Place | undefined => {
  const [_src, room = "", first, ...rest] = path.replace(/\.ts$/, "").split("/")
  if (first === undefined) return undefined
  if (room !== "durable-streams") return rooms.has(room) ? { room, name: first } : undefined
  const known = rest.length === 0 || first === "cli"
  return { room, name: first, floor: known ? floors.findIndex((names) => names.includes(first)) : -1 }
}

/** What a file imports in whatever way: from the root of the house where the file says `./`, else as it says. */
const importsOf = ({ path, text }: File): ReadonlyArray<string> => {
  const found: Array<string> = []
  const add = (source: ESTree.Expression | null) => {
    if (source === null) return
    const name = source.type === "Literal" && typeof source.value === "string" ? source.value : computed
    found.push(name.startsWith(".") ? posix.join(posix.dirname(path), name) : name)
  }
  new Visitor({
    ImportDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source)
  }).visit(parseSync(path, text).program)
  return found
}

const computed = "something it computes"

const isOf = (packageName: string, target: string) => target === packageName || target.startsWith(`${packageName}/`)

const objection = (from: Place, target: string): string | undefined => {
  const room = rooms.get(from.room)
  const floor = from.floor ?? -1
  if (target === computed) return `imports ${computed}: write the name out.`
  if (isOf("effect", target)) return undefined
  const meets = `imports ${target}: only floors ${floorsWithNode.join(" and ")}`
  if (target.startsWith("node:")) {
    return unless(room?.node ?? floorsWithNode.includes(floor), `${meets} and backends meet the operating system.`)
  }
  if (isOf("@effect/platform-node", target)) {
    return unless(floorsWithNode.includes(floor), `${meets} meet the platform.`)
  }
  if (!target.startsWith("src/")) {
    return `imports ${target}: src is built from src, effect, @effect/platform-node and node:*.`
  }

  const to = placeOf(target)
  if (to === undefined || (room !== undefined && to.room === from.room)) return undefined
  if (room !== undefined) {
    const sentence = `imports ${target}: src/${from.room} imports only effect, ${room.imports.join(", ")} and itself.`
    return unless(room.imports.includes(to.floor === undefined ? `src/${to.room}` : to.name), sentence)
  }
  if (browserSafe.includes(from.name) && (to.floor === undefined || !browserSafe.includes(to.name))) {
    return `imports ${target}: ${browserSafe.join(", ")} run in a browser and import only effect and one another.`
  }
  if (to.floor === undefined) {
    const guests = rooms.get(to.room)?.guests ?? []
    return unless(guests.includes(from.name), `imports ${target}: only ${guests.join(", ")} import src/${to.room}.`)
  }
  const sentence = `imports ${target} (floor ${to.floor}): a file imports from its own floor or below.`
  return unless(to.floor <= floor, `(floor ${floor}) ${sentence}`)
}

const unless = (allowed: boolean, sentence: string) => allowed ? undefined : sentence

/** The library is what `index.ts` reaches; it is shipped file by file, with nothing but `effect` beside it. */
const strangersInTheLibrary = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set(["src/durable-streams/index.ts"])
  const found: Array<string> = []
  for (const path of reached) {
    const file = byPath.get(path)
    for (const target of file === undefined ? [] : importsOf(file)) {
      if (byPath.has(target)) reached.add(target)
      if (target.startsWith("src/") || target.startsWith("node:") || isOf("effect", target)) continue
      found.push(`${path} is part of the library and imports ${target}: the library needs only effect and node:*.`)
    }
  }
  return found
}

const switches: ReadonlyArray<string> = ["skip", "only", "todo"]

/** Whether an expression is `it`, or leads back to it, as `it.effect` does. */
const isTest = (node: ESTree.Expression): boolean => {
  if (node.type === "Identifier") return ["it", "test", "describe", "suite"].includes(node.name)
  if (node.type === "MemberExpression") return isTest(node.object)
  return node.type === "CallExpression" && isTest(node.callee)
}

const isSwitch = (property: ESTree.ObjectPropertyKind): boolean =>
  property.type === "Property" && property.key.type === "Identifier" && switches.includes(property.key.name) &&
  property.value.type === "Literal" && property.value.value === true
