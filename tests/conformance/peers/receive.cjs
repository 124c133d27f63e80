// node receive.cjs PORT: node-hl7-server answers AA to everything; prints each message as JSON.
const { Server } = require('node-hl7-server')

const server = new Server({ bindAddress: '127.0.0.1' })
const inbound = server.createInbound({ port: Number(process.argv[2]) }, async (request, response) => {
  console.log(JSON.stringify(request.getMessage().toString()))
  await response.sendResponse('AA')
})

inbound.on('listen', () => console.log('listening'))
inbound.on('data.error', (error) => console.error(String(error)))
