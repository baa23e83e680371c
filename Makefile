# make app     opens the app            make test    runs every test, on all processors
# make lint    ruff and mypy            make quick   runs those that are not slow, in less than a minute
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Threads that wait for each other on busy processors lose a great deal: a worker for each, and one thread for a worker.
# Without compiled files each worker rewrites all tests, and each process that a test starts compiles the program anew.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadgroup

.PHONY: app test quick lint clean

app: $(VENV)/app.stamp
	$(BIN)/streamlit run app.py

test: $(VENV)/dev.stamp
	$(PYTEST) $(PYTEST_ARGS)

quick: $(VENV)/dev.stamp
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/app.stamp: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-openvino.txt requirements-ray.txt requirements-maps.txt $(VENV)/app.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
