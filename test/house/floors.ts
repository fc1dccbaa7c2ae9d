/**
 * The shape of the house and the rules that keep it: which folder may import which, how large a folder and how long a
 * file may be, how a file begins, and that nothing is left half done. A new file edits nothing here; a new folder gets
 * one line in `folders`.
 */
import { posix } from "node:path"
import { type ESTree, parseSync, Visitor } from "rolldown/utils"

const core = ["domain", "event", "storage", "stream", "hooks", "manager"]
const apiRoom = [...core, "api", "http", "stream-http"]

/**
 * The folders of `src`, lowest first. Each names the folders it may import, besides `effect` and itself; they all stand
 * above it in this list, so there is no circle. docs/architecture.md says what lives in each.
 */
export const folders: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["domain", []],
  ["api", ["domain"]],
  ["client", ["domain", "api"]],
  ["data-directory", ["domain"]],
  ["event", ["domain"]],
  ["storage", ["domain", "event"]],
  ["storage-filesystem", ["domain", "event", "storage"]],
  ["stream", ["domain", "event", "storage"]],
  ["hooks", ["domain", "event", "storage", "stream"]],
  ["manager", ["domain", "event", "storage", "stream", "hooks"]],
  ["http", ["domain", "api"]],
  ["http-node", ["domain", "api", "http"]],
  ["stream-http", [...core, "api", "http"]],
  ["native-api", apiRoom],
  ["protocol", apiRoom],
  ["subscriptions", [...apiRoom, "data-directory"]],
  [
    "durable-streams",
    [
      ...apiRoom,
      "client",
      "data-directory",
      "storage-filesystem",
      "http-node",
      "native-api",
      "protocol",
      "subscriptions"
    ]
  ]
])

/**
 * Subfolders that stand in an order, lowest first. Each names the subfolders beside it that it may import, besides itself;
 * files beside the subfolders stand above them all.
 */
const subfolders: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["storage-filesystem/format", []],
  ["storage-filesystem/disk", ["format"]],
  ["storage-filesystem/log", ["format", "disk"]],
  ["storage-filesystem/journal", ["format", "disk", "log"]],
  ["storage-filesystem/writing", ["format", "disk", "log", "journal"]],
  ["storage-filesystem/verify", ["format", "disk", "log", "journal"]],
  ["subscriptions/machine", []],
  ["subscriptions/webhook", ["machine"]],
  ["subscriptions/running", ["machine", "webhook"]]
])

/** Folders that meet the operating system. The command line inside the program only talks, and the machine only decides. */
const withNode = ["data-directory", "storage-filesystem", "http-node", "subscriptions", "durable-streams"]
const withoutNode = ["src/durable-streams/cli/", "src/subscriptions/machine/"]

/** The program is the one folder that meets the platform. */
const program = "durable-streams"

/** A file that is longer than a reader can hold wants to be two. */
export const linesMax = 350

/** A folder with more of all lines than this share wants to be two. */
const shareMax = 0.25

export interface File {
  readonly path: string
  readonly text: string
}

/** A sentence for each way in which the files of `src` leave the shape of the house. */
export const complaints = (files: ReadonlyArray<File>): ReadonlyArray<string> => [
  ...files.flatMap((file) => [...manners(file), ...doors(file)].map((complaint) => `${file.path} ${complaint}`)),
  ...strangersInTheLibrary(files)
]

/** A sentence for each folder that holds too much of the house. */
export const crowded = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const lines = new Map<string, number>()
  for (const { path, text } of files) lines.set(folderOf(path), (lines.get(folderOf(path)) ?? 0) + linesOf(text))
  const all = [...lines.values()].reduce((sum, count) => sum + count, 0)
  return [...lines].filter(([, count]) => count > shareMax * all).map(([folder, count]) =>
    `src/${folder} holds ${Math.round(100 * count / all)} % of the lines: a folder with more than ${
      100 * shareMax
    } % wants to be two.`
  )
}

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
  const lines = linesOf(text)
  if (lines > linesMax) found.push(`has ${lines} lines: one of more than ${linesMax} wants to be two.`)
  return found
}

const linesOf = (text: string) => text.replace(/\n$/, "").split("\n").length

const doors = (file: File): ReadonlyArray<string> => {
  if (!folders.has(folderOf(file.path))) return ["lies in no folder of the house: give it one in test/house/floors.ts."]
  const { errors } = parseSync(file.path, file.text)
  if (errors.length > 0) return errors.map((error) => `is not TypeScript: ${error.message}`)
  return importsOf(file).flatMap((target) => objection(file.path, target) ?? [])
}

/** The folder of `src` in which a file lies; empty for a file beside the folders. */
const folderOf = (path: string): string => {
  const [, folder = "", ...rest] = path.split("/")
  return rest.length === 0 ? "" : folder
}

/** The paths that a file imports in any way: from the root of the house if the file says `./`, else unchanged. */
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

const objection = (path: string, target: string): string | undefined => {
  const folder = folderOf(path)
  if (target === computed) return `imports ${computed}: write the name out.`
  if (isOf("effect", target)) return undefined
  if (target.startsWith("node:")) {
    const allowed = withNode.includes(folder) && !withoutNode.some((start) => path.startsWith(start))
    return unless(
      allowed,
      `imports ${target}: only ${withNode.join(", ")} meet the operating system, without cli and machine.`
    )
  }
  if (isOf("@effect/platform-node", target)) {
    return unless(folder === program, `imports ${target}: only ${program} meets the platform.`)
  }
  if (!target.startsWith("src/")) {
    return `imports ${target}: src is built from src, effect, @effect/platform-node and node:*.`
  }
  const other = folderOf(target)
  if (other === folder) return objectionWithin(path, target)
  const may = folders.get(folder) ?? []
  return unless(
    may.includes(other),
    `imports ${target}: src/${folder} imports only ${["effect", ...may].join(", ")} and itself.`
  )
}

/** The same between the subfolders of one folder. */
const objectionWithin = (path: string, target: string): string | undefined => {
  const subfolder = posix.dirname(path).slice("src/".length)
  const may = subfolders.get(subfolder)
  const other = posix.dirname(target).slice("src/".length)
  if (may === undefined || other === subfolder) return undefined
  return unless(
    may.some((name) => other === `${folderOf(path)}/${name}`),
    `imports ${target}: of its neighbours, src/${subfolder} imports ${
      may.length === 0 ? "none" : `only ${may.join(", ")}`
    }.`
  )
}

const unless = (allowed: boolean, sentence: string) => allowed ? undefined : sentence

/** The library is all that `index.ts` reaches; it is shipped file by file, with only `effect` beside it. */
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
