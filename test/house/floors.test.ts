/**
 * The house keeps its shape, and `floors.ts` would say so if it did not: each complaint is seen once
 * on a made-up file.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { complaints, type File, leftovers, linesMax } from "./floors.ts"

describe("the house", () => {
  it("keeps its floors and its rooms", () => {
    assert.deepStrictEqual(complaints(read("src")), [])
  })

  it("leaves nothing half done", () => {
    assert.deepStrictEqual([...read("src"), ...read("test")].flatMap(leftovers), [])
  })
})

describe("the house complains about", () => {
  const cases: ReadonlyArray<readonly [title: string, path: string, code: string, complaint: string]> = [
    [
      "an import from a floor above",
      "durable-streams/stream.ts",
      `import { StreamManager } from "./stream-manager.ts"`,
      "(floor 2) imports src/durable-streams/stream-manager.ts (floor 5): a file imports from its own floor or below."
    ],
    [
      "a type from a floor above",
      "durable-streams/storage.ts",
      `import type { Stream } from "./stream.ts"`,
      "(floor 1) imports src/durable-streams/stream.ts (floor 2): a file imports from its own floor or below."
    ],
    [
      "a type from a floor above, named in passing",
      "durable-streams/types.ts",
      `export type Api = import("./api.ts").Api`,
      "(floor 0) imports src/durable-streams/api.ts (floor 1): a file imports from its own floor or below."
    ],
    [
      "a floor above passed on",
      "durable-streams/hooks.ts",
      `export { make } from "./stream.ts"`,
      "(floor 1) imports src/durable-streams/stream.ts (floor 2): a file imports from its own floor or below."
    ],
    [
      "a floor above passed on whole",
      "durable-streams/server.ts",
      `export * from "./main.ts"`,
      "(floor 7) imports src/durable-streams/main.ts (floor 9): a file imports from its own floor or below."
    ],
    [
      "a floor above imported lazily",
      "durable-streams/daemon.ts",
      `export const cli = () => import("./cli/stream.ts")`,
      "(floor 7) imports src/durable-streams/cli/stream.ts (floor 8): a file imports from its own floor or below."
    ],
    [
      "an import nobody can read",
      "durable-streams/daemon.ts",
      `export const load = (name: string) => import(name)`,
      "imports something it computes: write the name out."
    ],
    [
      "a file without a floor",
      "durable-streams/attic.ts",
      "",
      "has no floor: give it one in test/house/floors.ts."
    ],
    [
      "a folder without a floor",
      "durable-streams/stream/reader.ts",
      "",
      "has no floor: give it one in test/house/floors.ts."
    ],
    [
      "a room nobody described",
      "attic/box.ts",
      "",
      "lies in no room: describe its room in test/house/floors.ts."
    ],
    [
      "a file beside its room",
      "web.ts",
      "",
      "lies in no room: describe its room in test/house/floors.ts."
    ],
    [
      "node below floor 7",
      "durable-streams/stream-manager.ts",
      `import { join } from "node:path"`,
      "imports node:path: only floors 7 and 9 and backends meet the operating system."
    ],
    [
      "node in the command line",
      "durable-streams/cli/stream.ts",
      `import "node:fs"`,
      "imports node:fs: only floors 7 and 9 and backends meet the operating system."
    ],
    [
      "node in the room that runs everywhere",
      "web/router.ts",
      `import { Buffer } from "node:buffer"`,
      "imports node:buffer: only floors 7 and 9 and backends meet the operating system."
    ],
    [
      "the platform below floor 7",
      "durable-streams/http-routes.ts",
      `import { NodeHttpServer } from "@effect/platform-node"`,
      "imports @effect/platform-node: only floors 7 and 9 meet the platform."
    ],
    [
      "the platform in a backend",
      "storage-filesystem/log-file.ts",
      `import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"`,
      "imports @effect/platform-node/NodeFileSystem: only floors 7 and 9 meet the platform."
    ],
    [
      "a package the house is not built from",
      "durable-streams/main.ts",
      `import chalk from "chalk"`,
      "imports chalk: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "a module of node without its prefix",
      "storage-filesystem/log-file.ts",
      `import { open } from "fs"`,
      "imports fs: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "browser code that imports what is not",
      "durable-streams/client.ts",
      `import { hooks } from "./hooks.ts"`,
      "imports src/durable-streams/hooks.ts: types, errors, limits, wire, api, client, client-answers, answer-bounds, name-list, follow run in a browser and import only effect and one another."
    ],
    [
      "browser code that imports a room",
      "durable-streams/api.ts",
      `import { problem } from "../web/problem.ts"`,
      "imports src/web/problem.ts: types, errors, limits, wire, api, client, client-answers, answer-bounds, name-list, follow run in a browser and import only effect and one another."
    ],
    [
      "a backend known below the process",
      "durable-streams/stream-factory.ts",
      `import { layer } from "../storage-filesystem/storage-filesystem.ts"`,
      "imports src/storage-filesystem/storage-filesystem.ts: only server, daemon, program, index, verify-data import src/storage-filesystem."
    ],
    [
      "routes that know their adapter",
      "durable-streams/http-routes.ts",
      `import { serve } from "../web-node/serve.ts"`,
      "imports src/web-node/serve.ts: only server, daemon, program, index, doctor-machine import src/web-node."
    ],
    [
      "a backend that reaches into the onion",
      "storage-filesystem/storage-filesystem.ts",
      `import { make } from "../durable-streams/stream.ts"`,
      "imports src/durable-streams/stream.ts: src/storage-filesystem imports only effect, types, errors, json-scan, storage, sorted-names, event-block, steady-time and itself."
    ],
    [
      "a room that imports another",
      "web/router.ts",
      `import { serve } from "../web-node/serve.ts"`,
      "imports src/web-node/serve.ts: src/web imports only effect, types, errors and itself."
    ],
    [
      "an import from outside src",
      "durable-streams/server.ts",
      `import { suite } from "../../test/durable-streams/storage-suite.ts"`,
      "imports test/durable-streams/storage-suite.ts: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "package.json, which is not beside the shipped files",
      "durable-streams/cli.ts",
      `import packageJson from "../../package.json" with { type: "json" }`,
      "imports package.json: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "a file that is too long",
      "durable-streams/types.ts",
      "\n".repeat(linesMax),
      "has 351 lines: one of more than 350 wants to be two."
    ],
    [
      "a file that is not TypeScript",
      "durable-streams/types.ts",
      "const = 1",
      "is not TypeScript: Unexpected token"
    ]
  ]

  for (const [title, path, code, complaint] of cases) {
    it(title, () => assert.deepStrictEqual(complaints([file(path, code)]), [`src/${path} ${complaint}`]))
  }

  it("a room nobody described once, not at each of its doors", () => {
    const src = [file("durable-streams/server.ts", `import { box } from "../attic/box.ts"`), file("attic/box.ts", "")]
    assert.deepStrictEqual(complaints(src), [
      "src/attic/box.ts lies in no room: describe its room in test/house/floors.ts."
    ])
  })

  it("a file that does not begin by saying what it is for", () => {
    for (const text of [`export const a = 1\n`, `// What for.\n`, `#!/usr/bin/env node\nexport {}\n`]) {
      assert.deepStrictEqual(complaints([{ path: "src/web/router.ts", text }]), [
        "src/web/router.ts does not begin with a module comment: say what it is for."
      ])
    }
  })

  it("a program that does not say what runs it", () => {
    assert.deepStrictEqual(complaints([{ path: "src/durable-streams/main.ts", text: "/** What for. */\n" }]), [
      "src/durable-streams/main.ts does not begin with #!/usr/bin/env node: the shipped program takes it from here."
    ])
  })

  it("a library that needs more than effect and node", () => {
    const onion = [
      file("durable-streams/index.ts", `export { serve } from "./server.ts"`),
      file("durable-streams/server.ts", `import type { NodeServices } from "@effect/platform-node"`),
      file("durable-streams/daemon.ts", `import { NodeServices } from "@effect/platform-node"`)
    ]
    assert.deepStrictEqual(complaints(onion), [
      "src/durable-streams/server.ts is part of the library and imports @effect/platform-node: the library needs only effect and node:*."
    ])
  })

  it("a test that is switched off, or switches others off", () => {
    const switches = ["it.skip", "it.effect.only", "it.todo", "describe.skip", "test.only.each([1])"]
    const tests = [...switches.map((name) => `${name}("a", run)`), `it("a", { skip: true }, run)`]
    for (const code of tests) {
      assert.deepStrictEqual(leftovers(file("a.test.ts", code)), [
        "src/a.test.ts:2 switches tests off: what is in the tree runs."
      ])
    }
  })

  it("a note to ourselves", () => {
    for (const note of ["T\u004FDO", "F\u0049XME"]) {
      assert.deepStrictEqual(leftovers(file("a.ts", `\n// ${note}: later`)), [
        `src/a.ts:3 says ${note}: do it, or open an issue.`
      ])
    }
  })
})

describe("the house is content with", () => {
  const cases: ReadonlyArray<readonly [title: string, path: string, code: string]> = [
    ["effect anywhere", "durable-streams/types.ts", `import { Schema } from "effect"\nimport "effect/http-api"`],
    ["neighbours on one floor", "durable-streams/storage.ts", `import type { Hook } from "./hooks.ts"`],
    ["floors below", "durable-streams/cli/stream.ts", `import { client } from "../client.ts"`],
    ["commands in a folder", "durable-streams/cli.ts", `import { stream } from "./cli/stream.ts"`],
    ["a client that knows the contract", "durable-streams/client.ts", `import { Api } from "./api.ts"`],
    ["routes made of the web room", "durable-streams/http-routes.ts", `import { route } from "../web/router.ts"`],
    ["a backend on its contract", "storage-filesystem/layer.ts", `import "../durable-streams/storage.ts"`],
    ["a backend on the disk", "storage-filesystem/log-file.ts", `import { open } from "node:fs/promises"`],
    ["files of one room", "storage-filesystem/layer.ts", `import { open } from "./log-file.ts"`],
    ["an adapter of the web room", "web-node/serve.ts", `import "../web/router.ts"\nimport "node:http"`],
    ["a process in which all meet", "durable-streams/daemon.ts", `import "../storage-filesystem/layer.ts"`],
    ["a process on the platform", "durable-streams/daemon.ts", `import "@effect/platform-node"`],
    ["a file just short enough", "durable-streams/types.ts", "\n".repeat(linesMax - 1)]
  ]

  for (const [title, path, code] of cases) {
    it(title, () => assert.deepStrictEqual(complaints([file(path, code)]), []))
  }

  it("tests that run only where they can", () => {
    const code = `it.skipIf(windows)("a", run)\nreader.skip(1)\nit("b", { timeout: 1 }, () => list.only)`
    assert.deepStrictEqual(leftovers(file("a.test.ts", code)), [])
  })
})

/** A made-up file of `src` that begins as it should. */
const file = (path: string, code: string): File => ({
  path: `src/${path}`,
  text: `${path.endsWith("/main.ts") ? "#!/usr/bin/env node\n" : ""}/** What it is for. */\n${code}`
})

const read = (folder: string): ReadonlyArray<File> => {
  const root = join(import.meta.dirname, "../..")
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .map((path) => ({ path: `${folder}/${path}`, text: readFileSync(join(root, folder, path), "utf8") }))
}
