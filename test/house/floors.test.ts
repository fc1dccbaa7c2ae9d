/**
 * The house keeps its shape, and `floors.ts` would say so if it did not: each complaint is seen once on a made-up file.
 */
import { assert, describe, it } from "vitest"
import { complaints, crowded, type File, folders, leftovers, linesMax } from "./floors.ts"
import { readFiles } from "./read-files.ts"

describe("the house", () => {
  it("keeps its folders and its doors", () => {
    assert.deepStrictEqual(complaints(readFiles("src")), [])
  })

  it("keeps no more than a quarter of its lines in one folder", () => {
    assert.deepStrictEqual(crowded(readFiles("src")), [])
  })

  it("lists each folder below every folder it imports, so that no circle is possible", () => {
    const seen = new Set<string>()
    for (const [folder, imports] of folders) {
      assert.deepStrictEqual(imports.filter((name) => !seen.has(name)), [], folder)
      seen.add(folder)
    }
  })

  it("leaves nothing half done", () => {
    assert.deepStrictEqual([...readFiles("src"), ...readFiles("test")].flatMap(leftovers), [])
  })
})

describe("the house complains about", () => {
  const core = "domain, event, storage"
  const node =
    "only data-directory, storage-filesystem, http-node, subscriptions, durable-streams meet the operating system, without cli and machine."
  const cases: ReadonlyArray<readonly [title: string, path: string, code: string, complaint: string]> = [
    [
      "an import from a folder above",
      "stream/stream.ts",
      `import { StreamManager } from "../manager/stream-manager.ts"`,
      `imports src/manager/stream-manager.ts: src/stream imports only effect, ${core} and itself.`
    ],
    [
      "a type from a folder above",
      "storage/storage.ts",
      `import type { Stream } from "../stream/stream.ts"`,
      "imports src/stream/stream.ts: src/storage imports only effect, domain, event and itself."
    ],
    [
      "a type from a folder above, named in passing",
      "domain/types.ts",
      `export type Api = import("../api/api.ts").Api`,
      "imports src/api/api.ts: src/domain imports only effect and itself."
    ],
    [
      "a folder above passed on",
      "storage/storage.ts",
      `export * from "../durable-streams/main.ts"`,
      "imports src/durable-streams/main.ts: src/storage imports only effect, domain, event and itself."
    ],
    [
      "a folder above imported lazily",
      "http/router.ts",
      `export const serve = () => import("../http-node/node-server.ts")`,
      "imports src/http-node/node-server.ts: src/http imports only effect, domain, api and itself."
    ],
    [
      "an import nobody can read",
      "durable-streams/daemon.ts",
      `export const load = (name: string) => import(name)`,
      "imports something it computes: write the name out."
    ],
    [
      "a folder the house does not know",
      "attic/box.ts",
      "",
      "lies in no folder of the house: give it one in test/house/floors.ts."
    ],
    [
      "a file beside the folders",
      "web.ts",
      "",
      "lies in no folder of the house: give it one in test/house/floors.ts."
    ],
    [
      "node in a folder that runs anywhere",
      "manager/stream-manager.ts",
      `import { join } from "node:path"`,
      `imports node:path: ${node}`
    ],
    [
      "node in the command line",
      "durable-streams/cli/stream.ts",
      `import "node:fs"`,
      `imports node:fs: ${node}`
    ],
    [
      "node in the machine of subscriptions",
      "subscriptions/machine/wake.ts",
      `import { createHash } from "node:crypto"`,
      `imports node:crypto: ${node}`
    ],
    [
      "a folder above inside the same room",
      "subscriptions/webhook/keys.ts",
      `import { Runner } from "../running/runner.ts"`,
      "imports src/subscriptions/running/runner.ts: of its neighbours, src/subscriptions/webhook imports only machine."
    ],
    [
      "a file beside the folders of the room, from inside one",
      "subscriptions/machine/wake.ts",
      `import { Subscriptions } from "../subscriptions.ts"`,
      "imports src/subscriptions/subscriptions.ts: of its neighbours, src/subscriptions/machine imports none."
    ],
    [
      "the platform below the program",
      "native-api/native-routes.ts",
      `import { NodeHttpServer } from "@effect/platform-node"`,
      "imports @effect/platform-node: only durable-streams meets the platform."
    ],
    [
      "a package the house is not built from",
      "durable-streams/main.ts",
      `import chalk from "chalk"`,
      "imports chalk: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "a module of node without its prefix",
      "storage-filesystem/writing/log-file.ts",
      `import { open } from "fs"`,
      "imports fs: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "browser code that imports code of the server",
      "client/client.ts",
      `import { hooks } from "../hooks/hooks.ts"`,
      "imports src/hooks/hooks.ts: src/client imports only effect, domain, api and itself."
    ],
    [
      "one API that imports another",
      "protocol/read-stream.ts",
      `import { routes } from "../native-api/native-routes.ts"`,
      "imports src/native-api/native-routes.ts: src/protocol imports only effect, domain, event, storage, stream, hooks, manager, api, http, stream-http and itself."
    ],
    [
      "a backend that reaches into the onion",
      "storage-filesystem/storage-filesystem.ts",
      `import { make } from "../stream/stream.ts"`,
      `imports src/stream/stream.ts: src/storage-filesystem imports only effect, ${core} and itself.`
    ],
    [
      "a subfolder that imports one above it",
      "storage-filesystem/log/log-reader.ts",
      `import { makeJournal } from "../journal/journal.ts"`,
      "imports src/storage-filesystem/journal/journal.ts: of its neighbours, src/storage-filesystem/log imports only format, disk."
    ],
    [
      "a subfolder that imports a file beside it",
      "storage-filesystem/format/file-names.ts",
      `import { layerFileSystem } from "../storage-filesystem.ts"`,
      "imports src/storage-filesystem/storage-filesystem.ts: of its neighbours, src/storage-filesystem/format imports none."
    ],
    [
      "an import from outside src",
      "durable-streams/server.ts",
      `import { suite } from "../../test/storage/storage-suite.ts"`,
      "imports test/storage/storage-suite.ts: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "package.json, which is not beside the shipped files",
      "durable-streams/cli.ts",
      `import packageJson from "../../package.json" with { type: "json" }`,
      "imports package.json: src is built from src, effect, @effect/platform-node and node:*."
    ],
    [
      "a file that is too long",
      "domain/types.ts",
      "\n".repeat(linesMax),
      "has 351 lines: one of more than 350 wants to be two."
    ],
    [
      "a file that is not TypeScript",
      "domain/types.ts",
      "const = 1",
      "is not TypeScript: Unexpected token"
    ]
  ]

  for (const [title, path, code, complaint] of cases) {
    it(title, () => assert.deepStrictEqual(complaints([file(path, code)]), [`src/${path} ${complaint}`]))
  }

  it("a folder that holds too much", () => {
    const src = [
      file("domain/a.ts", "\n".repeat(30)),
      ...["api", "event", "http"].map((name) => file(`${name}/a.ts`, ""))
    ]
    assert.deepStrictEqual(crowded(src), [
      "src/domain holds 91 % of the lines: a folder with more than 25 % wants to be two."
    ])
  })

  it("a file that does not begin with its purpose", () => {
    for (const text of [`export const a = 1\n`, `// What for.\n`, `#!/usr/bin/env node\nexport {}\n`]) {
      assert.deepStrictEqual(complaints([{ path: "src/http/router.ts", text }]), [
        "src/http/router.ts does not begin with a module comment: say what it is for."
      ])
    }
  })

  it("a program that does not name the command that runs it", () => {
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
    ["effect anywhere", "domain/types.ts", `import { Schema } from "effect"\nimport "effect/http-api"`],
    ["neighbours in one folder", "stream/stream.ts", `import { writer } from "./writer.ts"`],
    ["folders below", "manager/stream-manager.ts", `import { make } from "../stream/stream.ts"`],
    ["commands in a folder", "durable-streams/cli.ts", `import { stream } from "./cli/stream.ts"`],
    ["a client that knows the contract", "client/client.ts", `import { Api } from "../api/api.ts"`],
    ["a backend on its contract", "storage-filesystem/layer.ts", `import "../storage/storage.ts"`],
    ["subfolders below", "storage-filesystem/writing/log-file.ts", `import "../journal/journal.ts"`],
    ["subfolders from above", "storage-filesystem/storage-filesystem.ts", `import "./verify/verify-logs.ts"`],
    ["a backend on the disk", "storage-filesystem/log/log-file.ts", `import { open } from "node:fs/promises"`],
    ["an adapter of HTTP", "http-node/serve.ts", `import "../http/router.ts"\nimport "node:http"`],
    ["a process in which all meet", "durable-streams/daemon.ts", `import "../storage-filesystem/layer.ts"`],
    ["a process on the platform", "durable-streams/daemon.ts", `import "@effect/platform-node"`],
    ["a file just short enough", "domain/types.ts", "\n".repeat(linesMax - 1)]
  ]

  for (const [title, path, code] of cases) {
    it(title, () => assert.deepStrictEqual(complaints([file(path, code)]), []))
  }

  it("tests that run only on machines that can run them", () => {
    const code = `it.skipIf(windows)("a", run)\nreader.skip(1)\nit("b", { timeout: 1 }, () => list.only)`
    assert.deepStrictEqual(leftovers(file("a.test.ts", code)), [])
  })
})

/** A made-up file of `src` that begins as it should. */
const file = (path: string, code: string): File => ({
  path: `src/${path}`,
  text: `${path.endsWith("/main.ts") ? "#!/usr/bin/env node\n" : ""}/** What it is for. */\n${code}`
})
