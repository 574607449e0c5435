// Loaded with `node -r`: the process believes that it runs on an old Node.
Object.defineProperty(process, 'version', { value: 'v20.11.0' })
