// Pictures and videos of the page, saved by the browser.

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const savePicture = (canvas, name) => canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");

class Recorder {
  constructor(canvas, name) {
    Object.assign(this, { canvas, name, recorder: null });
  }

  get running() {
    return this.recorder !== null;
  }

  toggle() {
    if (this.recorder) {
      this.recorder.stop();
      this.recorder = null;
      return;
    }
    if (typeof MediaRecorder === "undefined" || !this.canvas.captureStream)
      throw new Error("this browser cannot record a canvas");
    const type = ["video/mp4;codecs=avc1.640028", "video/webm;codecs=vp9", "video/webm"].find((kind) =>
      MediaRecorder.isTypeSupported(kind),
    );
    const parts = [],
      recorder = new MediaRecorder(this.canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 12e6 });
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => save(new Blob(parts, { type }), `${this.name}.${type.includes("mp4") ? "mp4" : "webm"}`);
    recorder.start(250);
    this.recorder = recorder;
  }
}
