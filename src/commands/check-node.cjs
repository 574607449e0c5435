// Loaded with `node -r` before the first TypeScript file: a Node that cannot run TypeScript would only say
// ERR_UNKNOWN_FILE_EXTENSION. Plain CommonJS, so that every Node can read it.
const major = Number(process.version.slice(1).split('.', 1)[0])
if (major < 24) {
  console.error(
    `The Focus API needs Node 24 or newer; this is ${process.version}. Install a newer Node, or run \`npm ci\` here, which brings Node 26 for npm's scripts.`,
  )
  process.exit(1)
}
