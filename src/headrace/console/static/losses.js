// The losses of a fine-tuning job, drawn as they come.

const EVERY_MS = 1000;
const HEIGHT = 260;

const place = document.querySelector(".losses");

function line(label, stroke) {
  // Held-out losses come once in many steps: their points are joined all the same.
  return { label, stroke, width: 2, spanGaps: true, points: { show: true, size: 5 } };
}

function axis() {
  // A canvas knows no light-dark(): the colour as the browser has resolved it.
  return { stroke: getComputedStyle(place).color, grid: { stroke: "#8884", width: 1 } };
}

function chart(data) {
  const { step, train, valid } = place.dataset;
  return new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      scales: { x: { time: false } },
      axes: [axis(), axis()],
      series: [{ label: step }, line(train, "#0b7285"), line(valid, "#c92a2a")],
    },
    data,
    place,
  );
}

/** Ask, draw, and ask again until the job has ended. */
async function follow() {
  let drawn = null;
  for (;;) {
    const answer = await fetch(place.dataset.source).catch(() => null);
    if (answer !== null && answer.ok) {
      const told = await answer.json();
      if (told.status !== place.dataset.status) {
        // Its buttons, its model's name and its error stand elsewhere on the page.
        location.reload();
        return;
      }
      if (told.steps.length > 0) {
        const data = [told.steps, told.train, told.valid];
        if (drawn === null) {
          drawn = chart(data);
          addEventListener("resize", () =>
            drawn.setSize({ width: place.clientWidth, height: HEIGHT }),
          );
        } else {
          drawn.setData(data);
        }
        const last = told.steps.length - 1;
        const loss = told.train[last];
        const said = `${place.dataset.step} ${told.steps[last]}`;
        document.querySelector("#latest").textContent =
          loss === null ? said : `${said} · ${place.dataset.train} ${loss.toPrecision(3)}`;
      }
      if (told.ended) {
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

follow();
