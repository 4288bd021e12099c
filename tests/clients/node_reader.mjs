// Reads one event with Node's own WebSocket, with fetch as a stream, and with fetch as a poll; one JSON line for each.
const [address, token] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const told = (by, event) => say({ by, id: event.id, title: event.data.title });

async function byWebSocket(opened) {
  const socket = new WebSocket(`${address.replace("http", "ws")}/ws`, ["bearer", token]);
  const event = await new Promise((resolve) => {
    socket.onmessage = (message) => {
      const frame = JSON.parse(message.data);
      if (frame.type === "connection_established") opened();
      if (frame.type === "announcement") resolve(frame);
    };
  });
  if (socket.protocol !== "bearer") throw new Error(`the server chose ${socket.protocol}`);
  socket.close();
  told("websocket", event);
}

async function byStream(opened) {
  const answer = await fetch(`${address}/api/events`, { headers: { authorization: `Bearer ${token}` } });
  let text = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    opened();
    text += chunk;
    const data = text.match(/^data: (.*)\n\n/m);
    if (data) return told("sse", JSON.parse(data[1]));
  }
}

async function byPoll(opened) {
  const headers = { authorization: `Bearer ${token}` };
  const head = await (await fetch(`${address}/api/poll`, { headers })).json();
  opened();
  const page = await (await fetch(`${address}/api/poll?since=${head.cursor}&wait=20`, { headers })).json();
  told("poll", page.events[0]);
}

async function refused() {
  const socket = new WebSocket(`${address.replace("http", "ws")}/ws?token=wrong`);
  const closed = await new Promise((resolve) => { socket.onclose = resolve; });
  say({ closed: closed.code, reason: closed.reason });
}

const opened = [];
const readers = [byWebSocket, byStream, byPoll].map((read) => {
  let ready;
  opened.push(new Promise((resolve) => { ready = resolve; }));
  return read(ready);
});
await Promise.all(opened);
console.log("ready");
await Promise.all(readers);
await refused();
process.exit(0);
