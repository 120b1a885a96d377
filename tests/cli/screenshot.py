"""A picture of the emulated terminal of screen.py, for the README: screen.py ... png:FILE. Takes matplotlib."""


def draw(screen, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    wide, high = 0.102, 0.225  # inches a cell
    figure = plt.figure(figsize=((screen.columns + 2) * wide, (screen.rows + 1) * high), dpi=110, facecolor="#16181d")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-1, screen.columns + 1)
    axes.set_ylim(screen.rows + 0.5, -0.5)
    axes.axis("off")
    blocks = " ▁▂▃▄▅▆▇█"
    for y, row in enumerate(screen.cells):
        for x, (character, style) in enumerate(row):
            reverse = "7" in style
            color = "#16181d" if reverse else "#7f8794" if "2" in style else "#ffffff" if "1" in style else "#c9ced6"
            if reverse:
                axes.add_patch(Rectangle((x, y), 1, 1, color="#8fb7ff", linewidth=0))
            if "4" in style:
                axes.plot([x, x + 1], [y + 0.94] * 2, color="#5a6270", linewidth=0.8)
            if character in blocks[1:]:
                height = blocks.index(character) / 8 * 0.85
                axes.add_patch(Rectangle((x + 0.06, y + 0.95 - height), 0.88, height, color="#7fd18b", linewidth=0))
            elif character != " ":
                axes.text(
                    x + 0.5,
                    y + 0.74,
                    character,
                    color=color,
                    family="DejaVu Sans Mono",
                    fontsize=11.2,
                    ha="center",
                    va="baseline",
                    weight="bold" if "1" in style else "normal",
                )
    figure.savefig(path, facecolor=figure.get_facecolor())
    plt.close(figure)
