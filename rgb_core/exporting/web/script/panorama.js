// Panoramas: pictures dropped onto the page, as linear light { width, height, data: Float32Array of RGB }.

const decodeShared = (bytes) => {
  const data = new Float32Array((bytes.length / 4) * 3);
  for (let i = 0, to = 0; i < bytes.length; i += 4) {
    const factor = bytes[i + 3] ? 2 ** (bytes[i + 3] - 136) : 0;
    for (let k = 0; k < 3; k++) data[to++] = bytes[i + k] * factor;
  }
  return data;
};

// Radiance .hdr, plain or run-length encoded.
function readHdr(bytes) {
  let at = 0;
  const line = () => {
    const end = bytes.indexOf(10, at),
      text = new TextDecoder("latin1").decode(bytes.subarray(at, end));
    at = end + 1;
    if (end < 0) throw new Error("the .hdr file ends within its header");
    return text;
  };
  if (!line().startsWith("#?")) throw new Error("this is not a Radiance .hdr file");
  while (line() !== "");
  const size = /^-Y (\d+) \+X (\d+)$/.exec(line());
  if (!size) throw new Error("the .hdr file is stored in an order other than -Y +X");
  const height = +size[1],
    width = +size[2],
    pixels = new Uint8Array(4 * width * height);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(4 * width * y, 4 * width * (y + 1));
    if (bytes[at] !== 2 || bytes[at + 1] !== 2 || bytes[at + 2] & 128) {
      row.set(bytes.subarray(at, at + row.length));
      at += row.length;
      continue;
    }
    at += 4;
    for (let k = 0; k < 4; k++) {
      for (let x = 0; x < width;) {
        let run = bytes[at++];
        const repeated = run > 128;
        if (repeated) run -= 128;
        if (!run || x + run > width) throw new Error("the .hdr file is damaged");
        for (let i = 0; i < run; i++) row[4 * x++ + k] = repeated ? bytes[at] : bytes[at++];
        if (repeated) at++;
      }
    }
  }
  return { width, height, data: decodeShared(pixels) };
}

// Pictures of 8 bits: sRGB, clipped where the camera clipped them.
async function readPicture(file) {
  const bitmap = await createImageBitmap(file);
  const shrink = Math.min(1, 1024 / bitmap.width),
    width = Math.round(bitmap.width * shrink),
    height = Math.round(bitmap.height * shrink);
  const canvas = new OffscreenCanvas(width, height),
    context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data,
    data = new Float32Array(3 * width * height);
  const curve = Float32Array.from({ length: 256 }, (_, i) =>
    i <= 10 ? i / 3294.6 : ((i / 255 + 0.055) / 1.055) ** 2.4,
  );
  for (let i = 0; i < width * height; i++) for (let k = 0; k < 3; k++) data[3 * i + k] = curve[pixels[4 * i + k]];
  return { width, height, data };
}

async function readPanorama(file) {
  const suffix = file.name.toLowerCase().split(".").pop();
  const bytes = async () => new Uint8Array(await file.arrayBuffer());
  const image =
    suffix === "hdr"
      ? readHdr(await bytes())
      : suffix === "exr"
        ? await readExr(await bytes())
        : await readPicture(file);
  if (image.width !== 2 * image.height && suffix !== "jpg" && suffix !== "jpeg")
    throw new Error(`the picture is ${image.width} x ${image.height}; a panorama is twice as wide as high`);
  for (let i = 0; i < image.data.length; i++)
    image.data[i] = Number.isFinite(image.data[i]) ? Math.max(image.data[i], 0) : 0;
  return image;
}

// The mean of a panorama over every texel of a smaller one; larger ones repeat texels.
function reduce({ width, height, data }, toWidth, toHeight) {
  const across = overlaps(width, toWidth, (x) => x),
    down = overlaps(height, toHeight, (y) => (1 - Math.cos(Math.PI * y)) / 2);
  const out = new Float32Array(3 * toWidth * toHeight);
  down.forEach((rows, y) =>
    across.forEach((cols, x) => {
      const to = 3 * (y * toWidth + x);
      for (const [row, v] of rows)
        for (const [col, u] of cols)
          for (let k = 0; k < 3; k++) out[to + k] += u * v * data[3 * (row * width + col) + k];
    }),
  );
  return { width: toWidth, height: toHeight, data: out };
}

// For every one of `to` cells the cells out of `from` that it overlaps, with shares that add up to 1.
function overlaps(from, to, measure) {
  return Array.from({ length: to }, (_, i) => {
    const low = measure(i / to),
      high = measure((i + 1) / to),
      shares = [];
    for (let j = Math.floor((i * from) / to); j < Math.ceil(((i + 1) * from) / to); j++) {
      const share = Math.min(high, measure((j + 1) / from)) - Math.max(low, measure(j / from));
      if (share > 0) shares.push([j, share / (high - low)]);
    }
    return shares;
  });
}
